"""The data plane is the same, compiled or not (docs/decisions/0005-compiled-data-plane.md)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WAITS_LONG = "tests/proxy/test_conformance.py"
COMPILED = list((ROOT / "proxy").glob("*.so"))


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled here (no C compiler): every test ran on plain Python")
@pytest.mark.timeout(900)
def test_plain_python_passes_the_tests_of_the_compiled_data_plane(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(ROOT, plain, ignore=shutil.ignore_patterns("*.so", ".*", "build", "dist", "__pycache__", "driftline-data"))
    if (ROOT.parent / "shared").exists():
        (tmp_path / "shared").symlink_to(ROOT.parent / "shared")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"PYTHONPATH": str(plain)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/http1",
        "tests/proxy",
        "tests/runtime",
        "tests/store/spool",
        "tests/payloads/test_open_inference.py",
        "tests/payloads/test_decoding.py",
        "tests/payloads/test_content_coding.py",
        "tests/detectors/test_columns.py",
        "--ignore=tests/runtime/tools",
        f"--ignore={WAITS_LONG}",
    ]
    finished = subprocess.run(command, cwd=plain, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-4000:]


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled here (no C compiler)")
def test_what_runs_here_is_compiled() -> None:
    script = "import proxy.flight, store.spool.writer; print(proxy.flight.__file__, store.spool.writer.__file__)"
    printed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(file.endswith(".so") for file in printed.split())
