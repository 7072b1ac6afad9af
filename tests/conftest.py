"""What holds for all tests."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Refuse to test what is not there any more: a compiled module hides its source."""
    for module in runpy.run_path(str(ROOT / "hatch_build.py"))["MODULES"]:
        source = ROOT / module
        for compiled in source.parent.glob(f"{source.stem}.*.so"):
            if source.stat().st_mtime > compiled.stat().st_mtime:
                pytest.exit(f"{module} was changed after it was compiled. `make setup` compiles it again.", returncode=1)
