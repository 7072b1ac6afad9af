"""From p-values to evidence that may be looked at after every window.

An e-value is a bet against "nothing has changed": its expectation is at most 1 while that is so. A p-value becomes one by

    e(p) = (1 − p + p·ln p) / (p·(ln p)²)          (Vovk and Wang, "E-values: calibration, combination and applications", 2021)

which needs no tuning: it is the average of κ·p^(κ−1) over κ from 0 to 1. A Shiryaev–Roberts e-detector adds the bets up:

    M_t = (M_{t−1} + w_t) · e_t

where w_t is what the window counts: 1 where the budget counts windows, its duration where the budget counts time, so that many short windows are no more
chances for a false alert than a few long ones. (As long as w_t is known before the window's e-value, E[M at any stopping time] ≤ E[sum of w so far], by the same
argument as for w = 1; when a window closes depends on how many rows came, not on what they say.)

An average of e-detectors is an e-detector whatever the dependence between them, and the first time that it reaches c is at
least c of w's units away on average (Shin, Ramdas and Rinaldo, "E-detectors", 2023). So c is the budget, and neither more features nor a look after every
window costs anything. M is kept as its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

NO_EVIDENCE: Final = math.log(1e-15)
"""The logarithm of M before the first window: as good as that of 0, and a number that can be written down."""


def log_e_value(p_value: float) -> float:
    """Return ln e(p). With x = −ln p the calibrator is (eˣ − 1 − x) / x².

    >>> round(math.exp(log_e_value(1.0)), 6), round(math.exp(log_e_value(0.001)), 2)
    (0.5, 20.79)
    """
    x = -math.log(p_value)
    if x < 1e-4:
        return math.log(0.5 + x / 6)  # the difference would cancel
    return x + math.log1p(-(1 + x) * math.exp(-x)) - 2 * math.log(x)


def accumulate(log_evidence: float, p_value: float, weight: float = 1.0) -> float:
    """Return ln M after a window with this p-value, which counts `weight`."""
    return log_add(log_evidence, math.log(weight)) + log_e_value(p_value)


def log_add(first: float, second: float) -> float:
    """Return ln(eᵃ + eᵇ) without overflow."""
    large, small = max(first, second), min(first, second)
    return large + math.log1p(math.exp(small - large))


def log_mean(log_values: Sequence[float]) -> float:
    """Return the logarithm of the average of the values whose logarithms are given, at least one."""
    largest = max(log_values)
    return largest + math.log(math.fsum(math.exp(value - largest) for value in log_values) / len(log_values))
