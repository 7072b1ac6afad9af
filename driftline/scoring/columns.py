"""A model's outputs as columns of Arrow."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from runtime.session import Array


def column_of(array: Array) -> Any:
    """Return one entry per row: a number or text, or lists of them nested as the further axes are.

    >>> import numpy as np
    >>> column_of(np.array([[1, 2], [3, 4]])).to_pylist()
    [[1, 2], [3, 4]]
    >>> column_of(np.array([[1], [3]])).to_pylist()
    [1, 3]
    """
    lengths = array.shape[1:]
    column = pa.array(array.reshape(-1).tolist(), pa.string()) if array.dtype.kind == "O" else pa.array(array.reshape(-1))
    if lengths in {(), (1,)}:
        return column
    for length in reversed(lengths):
        column = pa.FixedSizeListArray.from_arrays(column, length)
    return column
