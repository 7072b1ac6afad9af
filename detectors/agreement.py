"""Whether a shadow says what the served model says: two replies to one request, compared output by output.

Two replies are compared by the first rule that their outputs allow:

1. labels: they agree where every text, integer and boolean output is equal;
2. argmax: where every vector of probabilities (two or more numbers in [0, 1] that add up to 1) peaks at the same place;
3. numbers: where every number is equal within a relative 1e-6.

So where there is a label it decides, and the scores beside it only show in the largest difference. Outputs are matched by
name and shape; replies that have none in common, or of which one could not be decoded, are incomparable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import starmap
from operator import sub
from typing import Any, Final, NamedTuple

from records.payload import TEXT, Decoded, Tensor

RELATIVE_TOLERANCE: Final = 1e-6
ABSOLUTE_TOLERANCE: Final = 1e-12
"""So that a zero agrees with what rounding makes of it."""
PROBABILITY_TOLERANCE: Final = 1e-3
"""Of a vector's sum: half precision and rounded replies are probabilities too."""

_FLOATS: Final = frozenset({"FP16", "BF16", "FP32", "FP64"})
_NOT_NUMERIC: Final = frozenset({"BYTES", "JSON", TEXT})


class Rule(StrEnum):
    """By which two replies were compared."""

    LABELS = "labels"
    ARGMAX = "argmax"
    NUMBERS = "numbers"


class Classes(NamedTuple):
    """What both said of one output, row by row."""

    output: str
    served: Sequence[Any]
    shadow: Sequence[Any]


class Comparison(NamedTuple):
    """What two replies to one request have in common."""

    rule: Rule
    agreed: bool
    largest_difference: float
    """Between two scores at the same place; 0 where there are none."""
    classes: Sequence[Classes] = ()
    """Of each label, else of each vector of probabilities."""
    scores: Sequence[tuple[Tensor, Tensor]] = ()
    """The numbers of both, where there are some."""


def compare(served: Decoded, shadow: Decoded) -> Comparison | None:
    """Compare two replies, or return None where they have no output in common."""
    labels: list[Classes] = []
    scores: list[tuple[Tensor, Tensor]] = []
    others = {tensor.name: tensor for tensor in shadow.tensors}
    for tensor in served.tensors:
        other = others.get(tensor.name)
        if other is None or other.shape != tensor.shape:
            continue
        if _are_scores(tensor.datatype, other.datatype):
            scores.append((tensor, other))
        else:
            labels.append(Classes(tensor.name, tensor.values, other.values))
    if labels:
        return Comparison(Rule.LABELS, _are_equal(labels), _largest_difference(scores), labels, scores)
    if not scores:
        return None
    peaks = [found for ours, theirs in scores if (found := _peaks_of_both(ours, theirs))]
    if peaks:
        return Comparison(Rule.ARGMAX, _are_equal(peaks), _largest_difference(scores), peaks, scores)
    return Comparison(Rule.NUMBERS, all(starmap(_are_close, scores)), _largest_difference(scores), (), scores)


def _are_equal(classes: list[Classes]) -> bool:
    return all(served == shadow for _, served, shadow in classes)


def _are_scores(served: str, shadow: str) -> bool:
    """Tell numbers from labels by datatype: JSON writes 2.0 as 2 at times, so floats on one side are enough."""
    return (served in _FLOATS or shadow in _FLOATS) and served not in _NOT_NUMERIC and shadow not in _NOT_NUMERIC


def _largest_difference(scores: list[tuple[Tensor, Tensor]]) -> float:
    largest = 0.0
    for served, shadow in scores:
        if served.values == shadow.values:  # as most are, and this is many times faster
            continue
        for difference in map(abs, map(sub, _floats(served), _floats(shadow))):
            if largest < difference < math.inf:  # false for NaN
                largest = difference
    return largest


def _floats(tensor: Tensor) -> list[Any]:
    """Return the values with NaN in the place of what is missing."""
    return [math.nan if value is None else value for value in tensor.values] if None in tensor.values else tensor.values


def _peaks(tensor: Tensor) -> list[int]:
    """Return where each vector of probabilities along the last axis has its largest entry; nothing where one is none."""
    values, width = _floats(tensor), tensor.shape[-1]
    if len(tensor.shape) == 1 or width < 2:
        return []
    peaks: list[int] = []
    for start in range(0, len(values), width):
        vector = values[start : start + width]
        if not abs(sum(vector) - 1) <= PROBABILITY_TOLERANCE or min(vector) < 0:  # `not <=` holds for NaN too
            return []
        peaks.append(vector.index(max(vector)))
    return peaks


def _peaks_of_both(served: Tensor, shadow: Tensor) -> Classes | None:
    ours = _peaks(served)
    theirs = ours if served.values == shadow.values else _peaks(shadow)
    return Classes(served.name, ours, theirs) if ours and theirs else None


def _are_close(served: Tensor, shadow: Tensor) -> bool:
    return served.values == shadow.values or all(map(_is_close, _floats(served), _floats(shadow)))


def _is_close(served: float, shadow: float) -> bool:
    both_missing = math.isnan(served) and math.isnan(shadow)
    return both_missing or math.isclose(served, shadow, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)
