"""Write the dashboards: `python -m grafana.generate [DIRECTORY]`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

with warnings.catch_warnings():
    # The SDK would have the second form of dashboards, which Grafana reads from version 12 on only.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from grafana import data_plane, feature, llm, model, overview, shadow, watching

from grafana_foundation_sdk.cog.encoder import JSONEncoder

DIRECTORY: Final = Path(__file__).parent / "dashboards"

_BOARDS: Final = {"overview": overview, "model": model, "feature": feature, "shadow": shadow, "data-plane": data_plane, "watching": watching, "llm": llm}


def files() -> Iterator[tuple[str, str]]:
    """Yield each dashboard's file name, and what stands in it."""
    for name, board in _BOARDS.items():
        yield f"{name}.json", JSONEncoder(sort_keys=True, indent=2).encode(board.dashboard().build()) + "\n"


def main(directory: Path = DIRECTORY) -> None:
    """Write them all."""
    for name, text in files():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
