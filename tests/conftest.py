"""What holds for all tests."""

import os
import runpy
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# The same examples in every run, so that a test never fails for a change that did not cause it. `HYPOTHESIS_PROFILE=search` looks for new ones.
# No deadline: a busy machine is no fault.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


_LONGEST_FIRST = ("tests/test_compiled.py", "tests/proxy/test_conformance.py")
"""So that they do not run alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; the others keep their order."""
    items.sort(key=lambda item: str(item.path.relative_to(ROOT)) not in _LONGEST_FIRST)


def pytest_configure() -> None:
    """Refuse to test what is not there any more: a compiled module hides its source."""
    for module in runpy.run_path(str(ROOT / "hatch_build.py"))["MODULES"]:
        source = ROOT / module
        for compiled in source.parent.glob(f"{source.stem}.*.so"):
            if source.stat().st_mtime > compiled.stat().st_mtime:
                pytest.exit(f"{module} was changed after it was compiled. `make setup` compiles it again.", returncode=1)
