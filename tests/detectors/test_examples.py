import doctest
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import detectors

MODULES = [path.stem for path in Path(detectors.__file__).parent.glob("*.py") if ">>>" in path.read_text()]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_hold(module):
    outcome = doctest.testmod(import_module(f"detectors.{module}"), extraglobs={"np": np})
    assert outcome.attempted > 0
    assert outcome.failed == 0
