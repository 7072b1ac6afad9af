import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.processes import find_program

ROOT = Path(__file__).parents[2]

needs_programs = pytest.mark.skipif(not (find_program("nginx") and find_program("wrk")), reason="needs nginx and wrk: apt-get install nginx wrk")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench.proxy", "--quick", "--connections", "1", "--body", "1024", *arguments]


def commands_naming(text: str) -> list[str]:
    """Return the command lines of all processes that mention `text`."""
    lines = []
    for entry in Path("/proc").iterdir():
        try:
            lines.append((entry / "cmdline").read_bytes().decode(errors="replace"))
        except (OSError, ValueError):
            continue
    return [line for line in lines if text in line]


@needs_programs
def test_the_json_holds_the_figures_and_ratios_are_to_nginx_in_the_same_run(tmp_path):
    figures = tmp_path / "figures.json"
    finished = subprocess.run(command("--only", "direct,nginx,floor-mirror", "--json", str(figures)), cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "× 1.00" in finished.stdout
    direct, floor, nginx = json.loads(figures.read_text())["results"]
    assert floor["median"]["mirrored_ratio"] == pytest.approx(1, abs=0.05), "each request is in flight at most once when the load ends"
    assert 0 < direct["median"]["cpu_us"] < nginx["median"]["cpu_us"]
    assert nginx["median"]["requests_per_second"] > 100


@needs_programs
def test_nothing_is_left_when_it_is_ended_in_the_middle(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(command("--only", "nginx"), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not any("wrk" in line for line in commands_naming(str(tmp_path))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.terminate()
    running.wait(20)
    assert list(tmp_path.iterdir()) == []
    assert not commands_naming(str(tmp_path))


def test_a_missing_program_is_named_with_its_debian_package(tmp_path):
    finished = subprocess.run(command(), cwd=ROOT, env={"PATH": str(tmp_path)}, check=False, capture_output=True, text=True)
    assert finished.returncode == 1
    assert finished.stderr.startswith("bench.proxy: ")
    assert "is not installed" in finished.stderr
    assert "apt-get install" in finished.stderr


def test_an_unknown_contender_is_answered_with_those_that_there_are():
    finished = subprocess.run(command("--only", "envoy"), cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "envoy" in finished.stderr
    assert "nginx-mirror" in finished.stderr
