"""river: ADWIN and Page–Hinkley on each feature, row by row, first through the baseline. They have no score but a sensitivity, so detectors of several sensitivities run side by side.

Categories are given as the number of their level; a missing value is passed over. KSWIN, which runs a test of 30 against 30 rows at every row, takes four
seconds of CPU per window here, and is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import river
from river import drift

from bench.peers.measure import Reading


class _Streams:
    """Detectors of each feature for each sensitivity, the most sensitive first. The score of a window is how many sensitivities alarm."""

    version = river.__version__
    remembers = True

    def __init__(self, name: str, makers: Sequence[Callable[[], Any]], default: int) -> None:
        """`default` says which of the makers has the library's default."""
        self.name = name
        self._makers = makers
        self._default = default

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:  # noqa: ARG002 - it knows no cycles
        self._levels = {name: np.unique(column).tolist() for name, column in rows.items() if column.dtype == object}
        self._detectors = [{name: make() for name in rows} for make in self._makers]
        self._alarms(rows)
        self._fresh = copy.deepcopy(self._detectors)

    def restart(self) -> None:
        self._detectors = copy.deepcopy(self._fresh)

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        alarms = self._alarms(rows)
        return Reading({"sensitivity": np.array([float(sum(alarms))])}, {"any feature": alarms[self._default]})

    def _alarms(self, rows: dict[str, np.ndarray]) -> list[bool]:
        """Return for each sensitivity whether any feature's detector alarmed in these rows."""
        columns = {name: self._numbers(name, column) for name, column in rows.items()}
        return [any(list(map(_alarms, of.values(), columns.values()))) for of in self._detectors]  # each reads them all, whatever the others say

    def _numbers(self, name: str, column: np.ndarray) -> list[float]:
        if column.dtype != object:
            return column[~np.isnan(column)].tolist()
        codes = {level: float(code) for code, level in enumerate(self._levels[name])}
        return [codes.get(level, float(len(codes))) for level in column]


def _alarms(detector: Any, values: list[float]) -> bool:
    alarmed = False
    for value in values:
        detector.update(value)
        alarmed = alarmed or detector.drift_detected
    return alarmed


def adwin() -> _Streams:
    deltas = (0.004, 0.002, 0.001, 0.0003)
    return _Streams("river ADWIN", [partial(drift.ADWIN, delta=delta) for delta in deltas], default=1)


def page_hinkley() -> _Streams:
    thresholds = (50.0, 465.0)  # the default, and one near one window in 100: of 1,200 quiet windows 30 alarm at 440, more than 12 at 455, and 1 at 480
    return _Streams("river Page–Hinkley", [partial(drift.PageHinkley, threshold=threshold) for threshold in thresholds], default=0)


PEERS = [adwin, page_hinkley]
