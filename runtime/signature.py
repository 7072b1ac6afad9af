"""What a model takes and gives: names, datatypes of Open Inference V2, shapes."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

DTYPES: Final[dict[str, np.dtype[np.generic]]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
"""By datatype. Texts are arrays of `str`."""

FLOATS: Final = frozenset({"FP16", "FP32", "FP64"})


class TensorSpec(NamedTuple):
    """One input or output."""

    name: str
    datatype: str
    shape: tuple[int | str, ...]
    """A number where the length is fixed; where it is not, its name, which lengths that are always equal share; empty where it has none."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """NumPy's."""
        return DTYPES[self.datatype]

    @property
    def sizes(self) -> list[int]:
        """The shape as Open Inference V2 writes it: −1 where the length is not fixed."""
        return [length if isinstance(length, int) else -1 for length in self.shape]

    @property
    def has_rows(self) -> bool:
        """Whether its first axis may have any length."""
        return bool(self.shape) and not isinstance(self.shape[0], int)

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        if len(shape) != len(self.shape):
            return False
        return all(not isinstance(expected, int) or expected == found for expected, found in zip(self.shape, shape, strict=True))

    def __str__(self) -> str:
        return f"{self.name} {self.datatype}{self.sizes}"


class Signature(NamedTuple):
    """A model's inputs and outputs, in the model's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def has_rows(self) -> bool:
        """Whether several requests could be one: the first axis of every input and output may have any length."""
        return bool(self.inputs) and all(spec.has_rows for spec in (*self.inputs, *self.outputs))

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.inputs))} -> {', '.join(map(str, self.outputs))}"
