"""Killed at every step, a run that is begun again leaves each row answered once and recorded once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.driftline.scoring.conftest import assert_each_row_answered_once, assert_each_row_recorded_once

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(300)
def test_whatever_step_a_kill_comes_before_each_row_is_answered_and_recorded_once(models, rows_file, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    words = ["score", "--models", models, "--model", "m", "--from", rows_file, "--keep", "id", "--out", "{room}/out", "--record", "--spool", "{room}/spool"]
    command = [sys.executable, "-m", "tests.driftline.scoring.mortal", str(room), *map(str, words)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert finished.returncode == 0, finished.stderr
    killed = int(finished.stdout)
    assert killed > 3 * 6
    assert sorted(int(entry.name) for entry in room.iterdir()) == list(range(1, killed + 2))
    for place in room.iterdir():
        assert_each_row_answered_once(place / "out")
        assert_each_row_recorded_once(place / "spool")
