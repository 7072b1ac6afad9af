"""What the windows before say about this one: their deviations from the baseline, carried forward as far as the traffic remembers.

A p-value that feeds evidence must hold given everything before it. Where the means of windows wander, the last deviation foretells a part of the next
one, and so it says nothing new. Deviations follow, bin by bin, an autoregression with the variance v and the correlation φ of the baseline's own order
(`dependence`), seen through the noise 1/n of a window: the Kalman filter of that model gives what to expect, and what remains is new:

    expected  u ← φ·u ,              P ← φ²·P + (1 − φ²)·v
    new       e = window − baseline − u ,   as noisy as 1/(P + 1/n) independent rows
    learned   u ← u + k·e ,          P ← (1 − k)·P ,   k = P/(P + 1/n)

A deviation that lasts is learned in part, whether it is a drift or the baseline's own error; `remaining` is the part that still shows. Without dependence v = 0 and
nothing is ever expected. Source: Kalman, "A new approach to linear filtering and prediction problems", 1960; variances are in units of one row's.
"""

from __future__ import annotations

from typing import Final, Generic

import msgspec
import numpy as np

from detectors.dependence import Dependence
from detectors.tally import OTHER_COUNTS, MeansT, News


class WanderingState(msgspec.Struct, frozen=True, array_like=True):
    """What a restart must not forget."""

    expected: tuple[float, ...]
    variance: float
    learned: float


class Wandering(Generic[MeansT]):
    """Follows the deviations of one feature from window to window."""

    def __init__(self, baseline: MeansT, dependence: Dependence) -> None:
        self._frequencies: Final = baseline.frequencies()
        self._dependence = dependence
        self._expected = np.zeros_like(self._frequencies)
        self._variance: float | None = None
        self._learned = 0.0

    def news(self, tally: MeansT) -> News[MeansT]:
        """Return what is new in a window, and learn from it; nothing is where it has no rows."""
        if self._dependence.is_none or not tally.rows:
            return News(tally)
        variance, correlation = self._dependence.wandering(tally.rows)
        before = variance if self._variance is None else self._variance
        expected, learned = correlation * self._expected, correlation * self._learned
        foretold = correlation**2 * before + (1 - correlation**2) * variance
        uncertainty = foretold + 1 / tally.rows
        gain = foretold / uncertainty
        seen = tally.frequencies()
        if not tally.present:
            seen[:-OTHER_COUNTS] = (self._frequencies + expected)[:-OTHER_COUNTS]
        self._expected = expected + gain * (seen - self._frequencies - expected)
        self._learned = learned + gain * (1 - learned)
        self._variance = foretold * (1 - gain)
        return News(type(tally).from_frequencies(seen - expected, 1 / uncertainty), 1 - learned)

    def snapshot(self) -> WanderingState | None:
        """Return what a restart must not forget; None before the first window."""
        return None if self._variance is None else WanderingState(tuple(self._expected.tolist()), self._variance, self._learned)

    def restore(self, state: WanderingState | None) -> None:
        """Go on from a snapshot of the same feature of the same baseline; anew where there is none, or a former version counted less."""
        if state is not None and len(state.expected) != len(self._frequencies):
            state = None
        self._expected = np.array(state.expected) if state else np.zeros_like(self._frequencies)
        self._variance = state.variance if state else None
        self._learned = state.learned if state else 0.0
