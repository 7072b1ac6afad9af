import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.processes import find_program
from bench.runtime import Figures, report

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not find_program("wrk"), reason="needs wrk: apt-get install wrk")
def test_the_json_holds_the_figures_and_the_report_is_made_of_it(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.runtime", "--rounds", "1", "--seconds", "1", "--model", "tiny", "--only", "floor,driftline", "--json", str(file)]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    figures = msgspec.convert(json.loads(file.read_text())["figures"], Figures, strict=False)
    assert {(each.name, each.connections) for each in figures.results} == {(name, count) for name in ("floor", "driftline") for count in (1, 32)}
    assert all(each.median.cpu_us > 0 and each.median.requests_per_second > 10 for each in figures.results)
    assert "times the CPU of the floor" in report(figures)
    assert report(figures) in finished.stdout


def test_an_unknown_contender_is_answered_with_those_that_there_are():
    finished = subprocess.run([sys.executable, "-m", "bench.runtime", "--only", "triton"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "triton" in finished.stderr
    assert "floor" in finished.stderr
