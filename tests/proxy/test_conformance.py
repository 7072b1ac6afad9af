"""HTTP/1.1 cases of public parser and proxy suites against the real command, where the cases are at hand."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[3] / "shared" / "http-conformance"
DRIFTLINE = Path(sys.executable).with_name("driftline")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.skipif(not CASES.exists(), reason=f"the conformance cases are not at {CASES}")
@pytest.mark.timeout(240)
def test_every_case_has_its_strict_outcome_and_none_is_unsafe(tmp_path):
    listen, upstream = free_port(), free_port()
    command = [DRIFTLINE, "proxy", "--listen", f"127.0.0.1:{listen}", "--upstream", f"http://127.0.0.1:{upstream}", "--spool", tmp_path / "spool"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as proxy:
        try:
            assert "listening" in proxy.stderr.readline()
            runner = [
                sys.executable,
                CASES / "run.py",
                "--proxy",
                f"127.0.0.1:{listen}",
                "--upstream-port",
                str(upstream),
                "--json",
                tmp_path / "outcomes.json",
            ]
            outcome = subprocess.run(runner, capture_output=True, text=True, check=False)
        finally:
            proxy.terminate()
    total = outcome.stdout.splitlines()[-1] if outcome.stdout else outcome.stderr
    assert json.loads((tmp_path / "outcomes.json").read_text()), total
    assert "strict 798 (100.0%), safe 798 (100.0%)" in total
