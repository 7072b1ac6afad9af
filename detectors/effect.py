"""How large a change is, for people: the distance from the baseline without the part that noise makes alone.

Evidence says that something changed, however little; the effect says whether it is worth an alert. A distance is never below zero, so
noise lifts it: the expected square of pure noise is taken off its square.

    effect = √ max(0, d² − E[d₀²])

with d the distance and d₀ what it is when nothing has changed, both in windows of as many rows. That an effect has gone is asked of the same distance (`return_p_value`).
Source: Bernstein's inequality, in Boucheron, Lugosi and Massart, "Concentration Inequalities", 2013, §2.8.
"""

from __future__ import annotations

import math
from typing import Final

from scipy import special

from detectors.calibration import SMALLEST_P_VALUE
from detectors.statistic import Spread

NOISE_BELOW_FLOOR: Final = 3
"""How many times smaller than the floor noise must be before rows are asked whether an effect has returned."""


def without_noise(distance: float, noise_square: float) -> float:
    """Return the distance with the expected square of noise taken off its square; 0 where noise explains it."""
    return math.sqrt(max(0.0, distance**2 - noise_square))


def return_p_value(distance: float, floor: float, spread: Spread, rows: float) -> float:
    """Return the probability of so small a distance from the baseline if the traffic's true distance is `floor` or more.

    A norm of at least `floor` is seen by a linear functional of norm one, whose mean over the window is normal with the `spread`
    of one row, or by Bernstein's inequality not much wider: P(distance ≤ d) ≤ Φ(−(floor − d)·√n / √(σ² + c·(floor − d)/3)).
    """
    gap = floor - distance
    if gap <= 0:
        return 1.0
    deviation = math.sqrt((spread.variance + spread.largest * gap / 3) / rows)
    return max(SMALLEST_P_VALUE, float(special.ndtr(-gap / deviation)))
