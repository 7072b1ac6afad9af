import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from driftline.demo.processes import DRIFTLINE, DemoError, child, driftline_as_typed


def python(code):
    return [sys.executable, "-c", code]


async def test_a_child_is_stopped_when_the_block_ends_even_by_an_error(tmp_path):
    with contextlib.suppress(RuntimeError):
        async with child("sleeper", python("import time; print('here', flush=True); time.sleep(60)"), tmp_path) as sleeper:
            assert (await sleeper.says("he(re)"))[1] == "re"
            raise RuntimeError
    with pytest.raises(DemoError, match=r"sleeper ended with exit code -15"):
        sleeper.check()


async def test_a_child_is_stopped_when_the_run_is_cancelled(tmp_path):
    started = asyncio.Event()
    children = []

    async def run():
        async with child("sleeper", python("import time; time.sleep(60)"), tmp_path) as sleeper:
            children.append(sleeper)
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(run())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await children[0].stop() == -15


async def test_a_child_that_ends_early_is_an_error_with_the_last_lines_of_its_log(tmp_path):
    async with child("broken", python("import sys; print('the port is in use'); sys.exit(3)"), tmp_path) as broken:
        with pytest.raises(DemoError, match=r"broken ended with exit code 3\n  the port is in use"):
            await broken.says("ready")
    assert (tmp_path / "broken.log").read_text() == "the port is in use\n"


async def test_a_command_that_fails_is_an_error_and_one_that_succeeds_is_not(tmp_path):
    async with child("good", python("pass"), tmp_path) as good:
        await good.succeed()
    async with child("bad", python("raise SystemExit('no such table')"), tmp_path) as bad:
        with pytest.raises(DemoError, match=r"bad ended with exit code 1\n  no such table"):
            await bad.succeed()


def test_a_command_is_shown_as_short_as_it_can_be_typed_here(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(Path(DRIFTLINE).parents[1])
    assert driftline_as_typed() == "bin/driftline"
    monkeypatch.chdir(tmp_path)
    assert driftline_as_typed() == DRIFTLINE
    monkeypatch.setenv("PATH", str(Path(DRIFTLINE).parent))
    assert driftline_as_typed() == "driftline"
