"""The types of arrays that the detectors pass around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Column: TypeAlias = npt.NDArray[Any]
"""float64 with NaN where missing, or objects: str with None where missing."""
Columns: TypeAlias = Mapping[str, Column]
"""Columns by name, all of one length: one entry per row of traffic."""


def is_numeric(column: Column) -> bool:
    """Return whether a column holds numbers; any other one holds levels."""
    return column.dtype.kind in "fiub"
