"""What a model's outputs predict, and how good that is: the differences between two models that people ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from runtime.session import Array
from runtime.tools.errors import ToolError

Outputs: TypeAlias = Mapping[str, Array]
"""Arrays by the outputs' names, in the model's order; the first axis counts rows."""


class Metric(NamedTuple):
    """How far predictions are from labels."""

    name: str
    value: float
    larger_is_better: bool

    def loss_against(self, original: Metric) -> float:
        """Return how much worse this is than the original's; negative where it is better.

        >>> round(Metric("accuracy", 0.90, True).loss_against(Metric("accuracy", 0.92, True)), 3)
        0.02
        """
        return original.value - self.value if self.larger_is_better else self.value - original.value


def classes(outputs: Outputs) -> Array | None:
    """Return the predicted class of each row, [rows]: a label, else the place of the largest score; None for a model that predicts no class.

    A label is an output of integers or strings, one per row; scores are floats [rows, classes].
    """
    for array in outputs.values():
        if array.dtype.kind in "iuOUSb" and array.size == len(array):
            return array.reshape(-1)
    for array in outputs.values():
        if array.dtype.kind == "f" and array.ndim == 2 and array.shape[1] > 1:
            return np.asarray(array.argmax(axis=1))
    return None


def agreement_ratio(original: Outputs, candidate: Outputs) -> float | None:
    """Return the share of rows whose predicted class is the same; None where no class is predicted."""
    ours, theirs = classes(original), classes(candidate)
    return None if ours is None or theirs is None else float(np.mean(ours == theirs))


def largest_differences(original: Outputs, candidate: Outputs) -> dict[str, float]:
    """Return for each output of floats its largest difference, as a share of the largest magnitude that the original gives.

    Infinite where the candidate is not finite and the original is, or the other way round; outputs that are not floats are left out.
    """
    return {name: _largest_difference(array, candidate[name]) for name, array in original.items() if array.dtype.kind == "f"}


def _largest_difference(original: Array, candidate: Array) -> float:
    before, after = original.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(before)
    if before.shape != after.shape or not np.array_equal(finite, np.isfinite(after)):
        return float("inf")
    if not finite.any():
        return 0.0
    scale = np.abs(before[finite]).max()
    difference = np.abs(before[finite] - after[finite]).max()
    return float(difference / scale) if scale else float(difference)


def metric(outputs: Outputs, labels: Array) -> Metric:
    """Return the accuracy of predicted classes, or the root mean squared error of predicted numbers.

    Raises `ToolError` where the outputs hold neither one class nor one number per row.
    """
    predicted = classes(outputs)
    if predicted is not None:
        return Metric("accuracy", float(np.mean(_text(predicted) == _text(labels))), larger_is_better=True)
    numbers = next((array for array in outputs.values() if array.dtype.kind == "f" and array.size == len(array)), None)
    if numbers is None:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise ToolError(f"labels cannot be compared with these outputs, none of which is one class or one number per row: {shapes}; leave out --label")
    try:
        errors = numbers.reshape(-1).astype(np.float64) - labels.astype(np.float64)
    except ValueError:
        raise ToolError("the model predicts numbers, but the labels are text; name a column of numbers with --label") from None
    return Metric("root mean squared error", float(np.sqrt(np.mean(errors**2))), larger_is_better=False)


def _text(values: Array) -> Array:
    """Return values as text that is equal where the classes are: 1, 1.0 and "1" are one class."""
    if values.dtype.kind == "f" and np.all(values == np.floor(values)):
        values = values.astype(np.int64)
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    return values.astype(np.str_)
