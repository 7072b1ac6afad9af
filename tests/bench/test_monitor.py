import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# In a process of its own, since the embedded store belongs to one.
MEASURE = """
import json, pathlib, sys
from bench import monitor
from bench.filled_spool import fill_spool
from bench.traffic import exchanges
directory = pathlib.Path(sys.argv[1])
stages, once_ms = monitor.measure_stages(2_000, directory)
fill_spool(directory / "monitor" / "spool", exchanges(2_000))
used_ns = monitor.cpu_until_done_ns(directory / "monitor" / "spool", 2_000, directory / "monitor")
print(json.dumps({"stages": stages, "once_ms": once_ms, "used_ns": used_ns}))
"""


def test_every_stage_and_the_monitor_itself_are_measured(tmp_path):
    finished = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(finished.stdout.splitlines()[-1])
    *stages, total = figures["stages"].values()
    assert len(stages) == 8
    assert all(cpu_us > 0.1 for cpu_us in stages)
    assert total > sum(stages)
    assert figures["once_ms"] > 1
    assert figures["used_ns"] > 2_000 * sum(stages)
