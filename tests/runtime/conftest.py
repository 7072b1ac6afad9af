from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.graphs import linear


@pytest.fixture
def add_linear(tmp_path: Path) -> Callable[..., Path]:
    """Adds a version of a linear model to the repository `tmp_path / "models"`; returns the version's directory."""

    def add(model: str = "m", number: int = 1, scale: float = 1.0, settings: str = "") -> Path:
        directory = tmp_path / "models" / model / str(number)
        making = directory.with_name(f".{number}")
        linear(making / "model.onnx", scale)
        if settings:
            (making / "model.yaml").write_text(settings, encoding="utf-8")
        making.rename(directory)
        return directory

    return add
