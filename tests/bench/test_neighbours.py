import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.neighbours import Figures, report
from bench.processes import find_program

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not find_program("wrk"), reason="needs wrk: apt-get install wrk")
def test_both_models_are_asked_and_the_report_is_made_of_what_their_clients_saw(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.neighbours", "--rounds", "1", "--seconds", "2", "--json", str(file)]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    figures = msgspec.convert(json.loads(file.read_text())["figures"], Figures, strict=False)
    assert min(figures.alone.requests, figures.beside.requests) > 10 * figures.slow.requests
    assert figures.beside.p50_us < figures.slow.p50_us / 4
    assert report(figures) in finished.stdout
