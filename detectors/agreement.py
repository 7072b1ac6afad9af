"""Whether a shadow says what the served model says: pairs of replies to one request, compared output by output.

Two replies are compared by the first rule that their outputs allow:

1. labels: they agree where every text, integer and boolean output is equal;
2. argmax: where every vector of probabilities (two or more numbers in [0, 1] that add up to 1) peaks at the same place;
3. numbers: where every number is equal within a relative 1e-6.

So where there is a label it decides, and the scores beside it only show in the largest difference. Outputs are matched by
name and shape; replies that have none in common, or of which one could not be decoded, are incomparable.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from enum import StrEnum
from itertools import starmap
from operator import sub
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from records.exchange import Exchange, Role
from records.ids import ExchangeId
from records.payload import TEXT, Decoded, DecodeResult, Tensor

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


class Comparison(NamedTuple):
    """What two replies to one request have in common."""

    rule: Rule
    agreed: bool
    largest_difference: float
    """Between two scores at the same place; 0 where there are none."""


class Totals(msgspec.Struct, kw_only=True):
    """All pairs of one route and shadow so far."""

    compared: int = 0
    agreed: int = 0
    incomparable: int = 0
    largest_difference: float = 0.0
    rule: Rule | None = None
    """Of the latest comparison."""

    def count(self, comparison: Comparison | None) -> None:
        """Add one pair; None where it was incomparable."""
        if comparison is None:
            self.incomparable += 1
            return
        self.compared += 1
        self.agreed += comparison.agreed
        self.largest_difference = max(self.largest_difference, comparison.largest_difference)
        self.rule = comparison.rule


Arm: TypeAlias = tuple[str, str]
"""A route and the name of its shadow."""


def compare(served: Decoded, shadow: Decoded) -> Comparison | None:
    """Compare two replies, or return None where they have no output in common."""
    labels: list[bool] = []
    scores: list[tuple[Tensor, Tensor]] = []
    others = {tensor.name: tensor for tensor in shadow.tensors}
    for tensor in served.tensors:
        other = others.get(tensor.name)
        if other is None or other.shape != tensor.shape:
            continue
        if _are_scores(tensor.datatype, other.datatype):
            scores.append((tensor, other))
        else:
            labels.append(tensor.values == other.values)
    if labels:
        return Comparison(Rule.LABELS, all(labels), _largest_difference(scores))
    if not scores:
        return None
    peaks = [(ours, theirs) for served_scores, shadow_scores in scores if (ours := _peaks(served_scores)) and (theirs := _peaks(shadow_scores))]
    if peaks:
        return Comparison(Rule.ARGMAX, all(ours == theirs for ours, theirs in peaks), _largest_difference(scores))
    return Comparison(Rule.NUMBERS, all(starmap(_are_close, scores)), _largest_difference(scores))


def _are_scores(served: str, shadow: str) -> bool:
    """Tell numbers from labels by datatype: JSON writes 2.0 as 2 at times, so floats on one side are enough."""
    return (served in _FLOATS or shadow in _FLOATS) and served not in _NOT_NUMERIC and shadow not in _NOT_NUMERIC


def _largest_difference(scores: list[tuple[Tensor, Tensor]]) -> float:
    largest = 0.0
    for served, shadow in scores:
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


def _are_close(served: Tensor, shadow: Tensor) -> bool:
    return all(map(_is_close, _floats(served), _floats(shadow)))


def _is_close(served: float, shadow: float) -> bool:
    both_missing = math.isnan(served) and math.isnan(shadow)
    return both_missing or math.isclose(served, shadow, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)


class _Entry:
    """What is known of one exchange: the served reply once it came, and shadows' replies that wait for it."""

    __slots__ = ("served", "shadows", "size")

    def __init__(self) -> None:
        self.served: DecodeResult | None = None
        self.shadows: tuple[tuple[Arm, DecodeResult], ...] = ()
        self.size = 0


class Agreement:
    """Pairs served and shadow replies by exchange, in whichever order they come, and counts how often they agree.

    A served reply is kept, since more shadows may follow, until newer exchanges push it out: at most `max_exchanges` and
    `max_values` values (or characters of text) are held. `unpaired` counts the shadows' replies that were pushed out alone.
    """

    def __init__(self, *, max_exchanges: int = 10_000, max_values: int = 1_000_000) -> None:
        self._max_exchanges = max_exchanges
        self._max_values = max_values
        self._entries: OrderedDict[ExchangeId, _Entry] = OrderedDict()
        self._size = 0
        self._totals: dict[Arm, Totals] = {}
        self.unpaired = 0

    def add(self, exchange: Exchange, response: DecodeResult) -> None:
        """Take one reply; count every pair that it completes."""
        entry = self._entries.get(exchange.exchange_id)
        if entry is None:
            entry = self._entries[exchange.exchange_id] = _Entry()
        if exchange.role is Role.SERVED:
            entry.served = response
            for arm, reply in entry.shadows:
                self._count(arm, response, reply)
            entry.shadows = ()
        elif entry.served is None:
            entry.shadows += (((exchange.route, exchange.arm), response),)
        else:
            self._count((exchange.route, exchange.arm), entry.served, response)
            return
        size = _size(response)
        entry.size += size
        self._size += size
        while len(self._entries) > self._max_exchanges or self._size > self._max_values:
            self._evict_oldest()

    def totals(self) -> dict[Arm, Totals]:
        """Return the counts so far, by route and shadow."""
        return {arm: msgspec.structs.replace(totals) for arm, totals in self._totals.items()}

    def _count(self, arm: Arm, served: DecodeResult, shadow: DecodeResult) -> None:
        totals = self._totals.get(arm)
        if totals is None:
            totals = self._totals[arm] = Totals()
        totals.count(compare(served, shadow) if type(served) is Decoded and type(shadow) is Decoded else None)

    def _evict_oldest(self) -> None:
        _, oldest = self._entries.popitem(last=False)
        self._size -= oldest.size
        self.unpaired += len(oldest.shadows)


def _size(response: DecodeResult) -> int:
    """Return the number of values in a reply; a text counts as many as it has characters."""
    size = 0
    if type(response) is Decoded:
        for tensor in response.tensors:
            size += _text_size(tensor.values) if tensor.datatype in _NOT_NUMERIC else len(tensor.values)
    return size


def _text_size(values: list[Any]) -> int:
    return sum(len(value) if type(value) is str else 1 for value in values)
