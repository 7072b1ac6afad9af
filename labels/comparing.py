"""The prediction of a row of a reply, and how far it was from the label.

A reply's prediction is its first output with one value per row; where every output has several, the index of the largest value of the first
one (class scores). What else a reply says is not compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from records.baseline import Loss
from records.payload import Decoded, DecodeResult, Tensor

_CLASSES_AT_MOST: Final = 50
_TRUTH: Final = {"true": 1.0, "false": 0.0}


def prediction(reply: DecodeResult, row: int) -> str | None:
    """Return what the reply predicts for this row; None where it does not say."""
    outputs = [tensor for tensor in reply.tensors if tensor.shape and row < tensor.shape[0]] if isinstance(reply, Decoded) else []
    single = next((tensor for tensor in outputs if math.prod(tensor.shape[1:]) == 1), None)
    if single is not None:
        return text(single.values[row])
    return _largest(outputs[0], row) if outputs else None


def loss_of(pairs: Sequence[tuple[str, str]]) -> Loss:
    """Return how wrong such predictions are, by these pairs of prediction and label: numbers by their distance, unless they are few whole ones, as classes are.

    >>> loss_of([("cat", "dog")]), loss_of([("1", "0"), ("0", "0")]), loss_of([("0.75", "1")])
    (<Loss.ERROR_RATE: 'error_rate'>, <Loss.ERROR_RATE: 'error_rate'>, <Loss.ABSOLUTE_ERROR: 'absolute_error'>)
    """
    numbers = [(one, other) for predicted, label in pairs if (one := number_of(predicted)) is not None and (other := number_of(label)) is not None]
    if len(numbers) < len(pairs) / 2:
        return Loss.ERROR_RATE
    values = {value for pair in numbers for value in pair}
    return Loss.ERROR_RATE if len(values) <= _CLASSES_AT_MOST and all(value.is_integer() for value in values) else Loss.ABSOLUTE_ERROR


def same(one: str, other: str) -> bool:
    """Whether two values say the same: equal text, or equal numbers (`1`, `1.0` and `true` are).

    >>> same("cat", "cat"), same("1", "1.0"), same("true", "1"), same("1", "2")
    (True, True, True, False)
    """
    return one == other or ((number := number_of(one)) is not None and number == number_of(other))


def absolute_error(predicted: str, label: str) -> float | None:
    """Return the distance between two numbers; None where one is not a number."""
    one, other = number_of(predicted), number_of(label)
    return None if one is None or other is None else abs(one - other)


def text(value: Any) -> str | None:
    """Return a value as labels are written: numbers in the shortest form that reads back the same; None for a missing one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)


def number_of(value: str) -> float | None:
    """Return the finite number that a text is, or None."""
    if value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in value else None


def _largest(tensor: Tensor, row: int) -> str | None:
    width = math.prod(tensor.shape[1:])
    scores: Sequence[Any] = tensor.values[row * width : (row + 1) * width]
    numbers = [score if isinstance(score, int | float) else math.nan for score in scores]
    if not numbers or any(map(math.isnan, numbers)):
        return None
    return str(max(range(width), key=numbers.__getitem__))
