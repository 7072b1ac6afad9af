"""A window of pairs: what was served and what a shadow said, on its way to a comparison.

While pairs come, lists only grow; NumPy sees the scores once per window. What is kept is bounded: values, classes, and the largest disagreements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import heappush, heapreplace
from typing import Any, Final

import numpy as np

from detectors.agreement import Classes, Comparison, compare
from detectors.arrays import Floats
from detectors.pairing import Pair
from records.comparison import COMPARED, ClassPair, Disagreement, Latency, PairOutcome, ScoreDifference
from records.ids import ExchangeId, format_uuid
from records.payload import Decoded, Tensor

DISAGREEMENTS_AT_MOST: Final = 10
CLASSES_AT_MOST: Final = 50
SCORES_AT_MOST: Final = 50
VALUES_AT_MOST: Final = 200_000
"""Of all outputs of a window; what comes after them is compared, and is not in the differences of scores."""
POSITIONS_AT_MOST: Final = 16
"""Numbers per row that are shown one by one; those of longer rows are taken together."""

_QUANTILES: Final = (0.01, 0.25, 0.5, 0.75, 0.99)
_CLASSES_KEPT: Final = 10_000
_CHARACTERS_SHOWN: Final = 40  # of one value
_VALUES_SHOWN: Final = 3  # of one answer


class ShadowWindow:
    """Pairs since the window opened."""

    def __init__(self) -> None:
        self.outcomes: Counter[PairOutcome] = Counter()
        self.losses = bytearray()
        """Of each compared pair 1 where it differs, else 0."""
        self.served_failed = 0
        self.shadow_failed = 0
        self._served_seconds: list[float] = []
        self._shadow_seconds: list[float] = []
        self._classes: dict[tuple[str, Any, Any], int] = {}
        self._scores: dict[tuple[str, int], tuple[list[Any], list[Any]]] = {}
        self._values = 0
        self._largest: list[tuple[float, int, ExchangeId, str]] = []

    def add(self, pair: Pair) -> PairOutcome:
        """Compare a pair and count it."""
        served, shadow = pair.served, pair.shadow
        outcome, comparison = judge(pair)
        self.outcomes[outcome] += 1
        self.served_failed += served.failed or not served.is_answer
        self.shadow_failed += shadow.failed or not shadow.is_answer
        if outcome in COMPARED:
            self.losses.append(outcome is not PairOutcome.AGREED)
            self._served_seconds.append(served.seconds)
            self._shadow_seconds.append(shadow.seconds)
        if comparison is not None:
            self._take(comparison)
        if outcome is PairOutcome.DIFFERED or outcome is PairOutcome.ONE_FAILED:
            self._rank(pair, comparison)
        return outcome

    @property
    def served_seconds(self) -> Latency | None:
        """How long the served replies took; None where none was compared."""
        return _latency(self._served_seconds)

    @property
    def shadow_seconds(self) -> Latency | None:
        """How long the shadow's took."""
        return _latency(self._shadow_seconds)

    def classes(self) -> tuple[ClassPair, ...]:
        """Return what the served model and the shadow said, the differing ones first, then by rows."""
        ordered = sorted(self._classes.items(), key=lambda item: (item[0][1] == item[0][2], -item[1]))[:CLASSES_AT_MOST]
        return tuple(ClassPair(output=output, served=_short(served), shadow=_short(shadow), rows=rows) for (output, served, shadow), rows in ordered)

    def scores(self) -> tuple[ScoreDifference, ...]:
        """Return how the numbers differ, the most different ones first, measured by their spread."""
        found = [each for (name, width), columns in self._scores.items() for each in _differences(name, width, *columns)]
        return tuple(difference for _, difference in sorted(found, key=lambda each: -each[0])[:SCORES_AT_MOST])

    def disagreements(self) -> tuple[Disagreement, ...]:
        """Return the pairs that differ most, the largest difference first."""
        ordered = sorted(self._largest, reverse=True)
        return tuple(Disagreement(exchange_id=format_uuid(exchange_id), difference=difference, text=text) for difference, _, exchange_id, text in ordered)

    def _take(self, comparison: Comparison) -> None:
        classes, scores = self._classes, self._scores
        for output, served, shadow in comparison.classes:
            for ours, theirs in zip(served, shadow, strict=True):
                key = output, ours, theirs
                if (rows := classes.get(key)) is not None:
                    classes[key] = rows + 1
                elif len(classes) < _CLASSES_KEPT:
                    classes[key] = 1
        if self._values >= VALUES_AT_MOST:
            return
        for tensor, other in comparison.scores:
            place = tensor.name, _width(tensor)
            columns = scores.get(place)
            if columns is None:
                columns = scores[place] = ([], [])
            columns[0].extend(tensor.values)
            columns[1].extend(other.values)
            self._values += len(tensor.values)

    def _rank(self, pair: Pair, comparison: Comparison | None) -> None:
        """Keep this pair where it is among those that differ most; of equal ones, the first."""
        difference = comparison.largest_difference if comparison else 0.0
        key = difference, -len(self.losses)
        if len(self._largest) < DISAGREEMENTS_AT_MOST:
            heappush(self._largest, (*key, pair.exchange_id, _in_words(pair, comparison)))
        elif key > self._largest[0][:2]:
            heapreplace(self._largest, (*key, pair.exchange_id, _in_words(pair, comparison)))


def judge(pair: Pair) -> tuple[PairOutcome, Comparison | None]:
    """Return what becomes of a pair, with the comparison of its outputs where there is one."""
    served, shadow = pair.served, pair.shadow
    if not (served.is_answer and shadow.is_answer):
        return PairOutcome.NO_ANSWER, None
    if served.failed or shadow.failed:
        return (PairOutcome.BOTH_FAILED if served.failed and shadow.failed else PairOutcome.ONE_FAILED), None
    ours, theirs = served.response, shadow.response
    if type(ours) is not Decoded or type(theirs) is not Decoded:
        return PairOutcome.UNREADABLE, None
    comparison = compare(ours, theirs)
    if comparison is None:
        return PairOutcome.OTHER_SCHEMA, None
    return (PairOutcome.AGREED if comparison.agreed else PairOutcome.DIFFERED), comparison


def _latency(seconds: Sequence[float]) -> Latency | None:
    if not seconds:
        return None
    p50, p99 = np.quantile(seconds, (0.5, 0.99)).tolist()
    return Latency(p50=p50, p99=p99)


def _width(tensor: Tensor) -> int:
    """Return how many numbers a row has."""
    rows = tensor.shape[0] if tensor.shape else 1
    return len(tensor.values) // rows if rows else 1


def _differences(name: str, width: int, served: list[Any], shadow: list[Any]) -> Iterator[tuple[float, ScoreDifference]]:
    """Yield how each number of a row differs, after how much that is of its spread."""
    ours, theirs = (np.array(values, dtype=np.float64) for values in (served, shadow))
    if 1 < width <= POSITIONS_AT_MOST:
        for position in range(width):
            yield from _difference(f"{name}[{position}]", ours[position::width], theirs[position::width])
    else:
        yield from _difference(name, ours, theirs)


def _difference(name: str, ours: Floats, theirs: Floats) -> Iterator[tuple[float, ScoreDifference]]:
    known = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[known], theirs[known]
    if not len(ours):
        return
    wasserstein = float(np.abs(np.sort(ours) - np.sort(theirs)).mean())
    spread = float(np.std(ours)) or float(np.abs(ours).max()) or 1.0
    yield (
        wasserstein / spread,
        ScoreDifference(
            output=name,
            rows=len(ours),
            served_mean=float(ours.mean()),
            shadow_mean=float(theirs.mean()),
            wasserstein=wasserstein,
            quantiles=tuple(np.quantile(theirs - ours, _QUANTILES).tolist()),
        ),
    )


def _in_words(pair: Pair, comparison: Comparison | None) -> str:
    """Return both answers in a few words: the first row that differs, by the rule that decided."""
    if comparison is None:
        return "the shadow failed, what was served did not" if pair.shadow.failed else "what was served failed, the shadow did not"
    for classes in comparison.classes:
        if text := _first_difference(classes):
            return text
    for ours, theirs in comparison.scores:
        if ours.values != theirs.values:
            return f"{ours.name}: {_values(ours.values)} → {_values(theirs.values)}"
    return ""


def _first_difference(classes: Classes) -> str:
    differing = ((ours, theirs) for ours, theirs in zip(classes.served, classes.shadow, strict=True) if ours != theirs)
    return next((f"{classes.output}: {_short(ours)} → {_short(theirs)}" for ours, theirs in differing), "")


def _values(values: list[Any]) -> str:
    shown = ", ".join(map(_short, values[:_VALUES_SHOWN]))
    return f"{shown}, …" if len(values) > _VALUES_SHOWN else shown


def _short(value: Any) -> str:
    text = f"{value:.6g}" if type(value) is float else str(value)
    return text if len(text) <= _CHARACTERS_SHOWN else f"{text[: _CHARACTERS_SHOWN - 1]}…"
