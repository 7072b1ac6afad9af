import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.start import Figures, report

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_the_parts_are_of_the_whole_and_the_report_is_made_of_them(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.start", "--rounds", "1", "--json", str(file)]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    figures = msgspec.convert(json.loads(file.read_text())["figures"], Figures, strict=False)
    assert all(seconds > 0 for seconds in figures.parts.values())
    assert len(figures.parts) == 6
    assert report(figures) in finished.stdout


def test_a_start_that_takes_too_long_is_said():
    parts = {"imports": 0.9}
    assert "under 1), kept" in report(Figures(0.99, parts))
    assert "under 1), NOT kept" in report(Figures(1.01, parts))
