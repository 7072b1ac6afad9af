import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench import tools

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_every_change_is_measured_and_scoring_costs_something(tmp_path):
    command = [sys.executable, "-m", "bench.tools", "--quick", "--json", str(tmp_path / "tools.json")]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    figures = msgspec.convert(json.loads((tmp_path / "tools.json").read_text())["figures"], tools.Figures, strict=False)
    assert [changed.change.split()[0] for changed in figures.changed] == ["optimize", "quantize", "quantize", "prune", "prune"]
    assert figures.bare_us > 0
    assert figures.scored_us > 0
    assert figures.recorded_us > 0
    assert tools.report(figures) in finished.stdout
