"""Rows for a model, block by block, from where one stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from runtime.session import Array


class Block(NamedTuple):
    """Some rows that follow each other."""

    inputs: list[Array]
    """In the order of the model's inputs."""
    kept: dict[str, Any]
    """What says which rows they are, by column: arrays of NumPy or Arrow."""
    rows: int
    left_out: int
    """Stored requests before the block's end that the model could not take."""
    end: str
    """Where the block ends: `blocks` goes on from there, in another process too."""


class RowSource(Protocol):
    """Where rows come from."""

    @property
    def described(self) -> str:
        """In words, for a report."""
        ...

    @property
    def identity(self) -> Mapping[str, str]:
        """What has to be the same for the rows to be the same."""
        ...

    def total_rows(self) -> int | None:
        """Return how many there are, None where that is known only at their end."""
        ...

    def blocks(self, after: str, rows: int) -> Iterator[Block]:
        """Yield blocks of about so many rows, beginning behind `after`, the end of an earlier block; the empty string is before the first row.

        Raises `ToolError`.
        """
        ...
