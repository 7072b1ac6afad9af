"""HTTP/1.1 cases of public parser and proxy suites against the real command, where the cases are at hand."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

CASES = Path(__file__).parents[3] / "shared" / "http-conformance"
DRIFTLINE = Path(sys.executable).with_name("driftline")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.skipif(not CASES.exists(), reason=f"the conformance cases are not at {CASES}")
@pytest.mark.timeout(400)
def test_every_case_has_its_strict_outcome_and_none_is_unsafe_sent_at_once_by_lines_or_by_bytes(tmp_path):
    with ExitStack() as stack:
        runs = {sending: stack.enter_context(judging(tmp_path / sending, sending)) for sending in ("all", "lines", "bytes")}
        for sending, run in runs.items():
            said, _ = run.communicate()
            assert json.loads((tmp_path / sending / "outcomes.json").read_text()), said
            assert "strict 798 (100.0%), safe 798 (100.0%)" in said, said


@contextmanager
def judging(room: Path, sending: str) -> Iterator[subprocess.Popen[str]]:
    """Run the cases against a proxy of their own; most of their time is waiting."""
    room.mkdir()
    listen, upstream = free_port(), free_port()
    command = [DRIFTLINE, "proxy", "--listen", f"127.0.0.1:{listen}", "--upstream", f"http://127.0.0.1:{upstream}", "--spool", room / "spool"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as proxy:
        try:
            assert "listening" in proxy.stderr.readline()
            runner = [sys.executable, CASES / "run.py", "--proxy", f"127.0.0.1:{listen}", "--upstream-port", str(upstream), "--send", sending]
            with subprocess.Popen([*runner, "--json", room / "outcomes.json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
                try:
                    yield run
                finally:
                    run.kill()
        finally:
            proxy.terminate()
