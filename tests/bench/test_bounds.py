import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_idle_connections_and_large_bodies_stay_within_their_bounds():
    finished = subprocess.run([sys.executable, "-m", "bench.bounds", "--quick"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count(", kept") == 2, finished.stdout
