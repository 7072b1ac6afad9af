"""`driftline demo` as a user runs it: real commands, models, traffic, drift and alert."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DRIFTLINE = Path(sys.executable).with_name("driftline")


def processes_in(directory):
    """Return the ids of processes that work below a directory."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _works_in(entry, directory)]


def _works_in(process, directory):
    try:
        return (process / "cwd").readlink().is_relative_to(directory)
    except OSError:
        return False


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "TMPDIR": str(tmp_path)}


def test_the_demo_finds_the_drift_and_nothing_else_and_every_count_agrees(tmp_path, environment):
    file = tmp_path / "demo.json"
    command = [DRIFTLINE, "demo", "--headless", "--duration", "20s", "--json", file]
    finished = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=110)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    measured = json.loads(file.read_text())
    assert measured["failed"] == measured["dropped"] == measured["pending"] == measured["false_alerts"] == 0
    assert measured["captured"] == measured["stored"] == measured["requests"] + measured["shadow"]["compared"]
    assert sorted(measured["alert_features"]) == ["mean area", "worst area"]
    assert measured["alert_delay_seconds"] > 0
    assert 0.85 < measured["shadow"]["agreement_ratio"] < 1
    for heading in ("What drifted:", "When found:", "What was alerted:", "False alarms: None", "Where to look:"):
        assert heading in finished.stdout
    assert processes_in(tmp_path) == []


@pytest.fixture
def interruptible():
    """Let commands be interrupted although these tests run in a shell's background, where SIGINT is ignored and that is inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("interruptible")
async def test_an_interrupted_demo_leaves_nothing_running(tmp_path, environment, number):
    process = await asyncio.create_subprocess_exec(
        DRIFTLINE, "demo", "--headless", env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    while b"requests" not in (line := await process.stdout.readline()):
        assert line, (await process.communicate())[1].decode()
    assert len(processes_in(tmp_path)) >= 3
    process.send_signal(number)
    _, errors = await process.communicate()
    assert process.returncode == 130
    assert errors.decode() == "driftline demo: interrupted; everything that was started has been stopped\n"
    assert processes_in(tmp_path) == []
