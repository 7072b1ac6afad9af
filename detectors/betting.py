"""Bets on the mean of losses between 0 and 1: evidence that it has risen or fallen, and a bound on it.

Whoever bets the share s of their capital, at each row, that losses are above m, has after a row with the loss x

    1 + s·(x/m − 1)        times as much

where a mean of m or less lets nobody win in the long run: the capital is a test martingale, for losses of any distribution. Which share pays depends
on how far the mean has risen, so several are tried side by side, and what counts is their average. A bet on a fall is one on a rise of 1 − x. The mean is
not above m, with probability 1−δ, where bets on a fall below m would have won 1/δ. Source: Waudby-Smith and Ramdas, "Estimating means of bounded random
variables by betting", JRSS B, 2024.

Rows that are alike (`detectors.dependence`) tell less: where d rows are as good as one, a capital is taken to the power 1/d. With many rows it is
then as if there were fewer of them; unlike the rest this holds only nearly, and as far as the dependence is known.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.arrays import Floats

SHARES: Final = np.array([0.9, *(0.5 ** np.arange(1, 9))])
"""Of the capital, for each bet. A share s wins most where the mean has risen from m by about s·(1 − m)."""

_LEAST_MEAN: Final = 1e-9
_LARGEST_STAKE: Final = 0.9  # a loss may take all of a stake of 1
_HALVINGS: Final = 40  # of an interval of 1: far below what matters of a risk


def log_capitals(losses: Floats, mean: float, worth: float = 1.0) -> Floats:
    """Return for each of the `SHARES` the logarithm of what bets of it make of 1, on a rise of the mean above `mean`; each row is `worth` so many.

    >>> log_capitals(np.array([1.0, 0.0]), 0.5).round(2).tolist()[:2]
    [-1.66, -0.29]
    """
    ratios = losses / max(mean, _LEAST_MEAN) - 1
    return np.asarray(worth * np.log1p(np.outer(SHARES, ratios)).sum(axis=1))


def log_capitals_of_fall(losses: Floats, mean: float, worth: float = 1.0) -> Floats:
    """Return the same of bets on a fall of the mean below `mean`."""
    return log_capitals(1 - losses, 1 - mean, worth)


def upper_bound(losses: Floats, risk: float, worth: float = 1.0) -> float:
    """Return what the mean behind these losses, in any number, is not above, with probability 1 − `risk`.

    >>> 0.1 < upper_bound(np.arange(1_000) % 10 == 0, 0.05) < 0.13
    True
    """
    fractions = _fractions(losses, risk, worth)
    low, high = float(np.mean(losses)), 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        log_capital = worth * float(np.log1p(fractions * (middle - losses)).sum())
        low, high = (low, middle) if log_capital >= -math.log(risk) else (middle, high)
    return high


def _fractions(losses: Floats, risk: float, worth: float) -> Floats:
    """Return what is staked on each row, chosen by the rows before it: what wins most of so many rows of the variance seen so far (equation 24 there)."""
    numbers = np.arange(1, len(losses) + 1)
    means = (0.5 + np.cumsum(losses)) / (numbers + 1)
    variances = (0.25 + np.cumsum((losses - means) ** 2)) / (numbers + 1)
    seen = np.concatenate([[0.25], variances[:-1]])
    return np.minimum(_LARGEST_STAKE, np.sqrt(-2 * math.log(risk) / (worth * len(losses) * seen)))
