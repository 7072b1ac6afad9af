"""Synthetic traffic that does not drift, of kinds that look as if it did: 30 numbers and 3 categories, with fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy import signal, stats

NUMBERS, CATEGORIES = 30, 3
FEATURES = NUMBERS + CATEGORIES
LEVELS = (0.4, 0.25, 0.15, 0.1, 0.06, 0.04)
WINDOW_ROWS = 1_000
WINDOWS_A_DAY = 48
ROW_NS = 86_400 * 10**9 // (WINDOWS_A_DAY * WINDOW_ROWS)
_THRESHOLDS = stats.norm.ppf(np.cumsum(LEVELS)[:-1])
_NAMES = np.array([f"level {index}" for index in range(len(LEVELS))], dtype=object)

Latent: TypeAlias = Callable[[np.random.Generator, int, int], np.ndarray]
"""Of a generator, the number of the first row and how many: unit normal numbers, features × rows."""


class Traffic:
    """Rows one after the other."""

    def __init__(self, seed: int, latent: Latent, shape: Callable[[np.ndarray], np.ndarray] = lambda normal: normal) -> None:
        """`shape` makes the numbers of unit normal ones."""
        self._rng = np.random.default_rng(seed)
        self._latent = latent
        self._shape = shape
        self._first = 0

    def rows(self, count: int) -> dict[str, np.ndarray]:
        latent = self._latent(self._rng, self._first, count)
        self._first += count
        shaped = self._shape(latent[:NUMBERS])
        numbers = {f"number {index}": shaped[index] for index in range(NUMBERS)}
        return numbers | {f"category {index}": _NAMES[np.searchsorted(_THRESHOLDS, latent[NUMBERS + index])] for index in range(CATEGORIES)}

    def times_ns(self, count: int) -> np.ndarray:
        """Return the times of the rows that come next."""
        return (self._first + np.arange(count)) * ROW_NS


def independent(rng: np.random.Generator, _: int, count: int) -> np.ndarray:
    return rng.normal(size=(FEATURES, count))


def autoregression(correlation: float) -> Latent:
    """Rows follow each other, each feature on its own."""
    coefficients = [np.sqrt(1 - correlation**2)], [1.0, -correlation]
    states: list[np.ndarray] = []

    def latent(rng: np.random.Generator, _: int, count: int) -> np.ndarray:
        state = states.pop() if states else rng.normal(size=(FEATURES, 1)) * correlation
        rows, state = signal.lfilter(*coefficients, rng.normal(size=(FEATURES, count)), axis=1, zi=state)
        states.append(state)
        return np.asarray(rows)

    return latent


def thinned(one_in: int, latent: Latent) -> Latent:
    """One row in so many is kept."""
    return lambda rng, first, count: latent(rng, first * one_in, count * one_in)[:, ::one_in]


def bursts(rng: np.random.Generator, _: int, count: int) -> np.ndarray:
    """Users of 20 requests on average, whose rows are alike (a correlation of 0.5)."""
    sizes = rng.geometric(1 / 20, size=count)
    users = np.repeat(rng.normal(size=(FEATURES, count)), sizes, axis=1)[:, :count]
    return np.asarray(np.sqrt(0.5) * users + np.sqrt(0.5) * rng.normal(size=(FEATURES, count)))


def wandering(deviation: float, correlation: float) -> Latent:
    """The means of windows wander: an autoregression from window to window."""
    means: list[np.ndarray] = []

    def latent(rng: np.random.Generator, _: int, count: int) -> np.ndarray:
        windows = []
        for first in range(0, count, WINDOW_ROWS):
            step = deviation * rng.normal(size=(FEATURES, 1))
            mean = correlation * means.pop() + np.sqrt(1 - correlation**2) * step if means else step
            means.append(mean)
            windows.append(mean + rng.normal(size=(FEATURES, min(WINDOW_ROWS, count - first))))
        return np.concatenate(windows, axis=1)

    return latent


def tide(height: float) -> Latent:
    """Every feature goes up and down once a day."""

    def latent(rng: np.random.Generator, first: int, count: int) -> np.ndarray:
        day = 2 * np.pi * (first + np.arange(count)) / (WINDOWS_A_DAY * WINDOW_ROWS)
        return np.asarray(height * np.sin(day) + rng.normal(size=(FEATURES, count)))

    return latent


def heavy_tails(normal: np.ndarray) -> np.ndarray:
    """Student's t with two degrees of freedom: a variance that is infinite."""
    return np.asarray(stats.t.ppf(stats.norm.cdf(normal), 2))


def counts(normal: np.ndarray) -> np.ndarray:
    """Poisson numbers with a mean of 2."""
    return np.searchsorted(stats.poisson.cdf(np.arange(12), 2), stats.norm.cdf(normal)).astype(np.float64)


KINDS: dict[str, Callable[[int], Traffic]] = {
    "independent rows": lambda seed: Traffic(seed, independent),
    "rows that follow each other, AR(1) 0.5": lambda seed: Traffic(seed, autoregression(0.5)),
    "the same, one row in ten kept": lambda seed: Traffic(seed, thinned(10, autoregression(0.5))),
    "AR(1) 0.9": lambda seed: Traffic(seed, autoregression(0.9)),
    "bursts of alike rows": lambda seed: Traffic(seed, bursts),
    "heavy tails, t(2)": lambda seed: Traffic(seed, independent, heavy_tails),
    "counts, Poisson(2)": lambda seed: Traffic(seed, independent, counts),
    "window means that wander, AR(1) 0.8, 0.05 sd": lambda seed: Traffic(seed, wandering(0.05, 0.8)),
}
"""Traffic that does not drift, whatever the time of day."""

DAILY = "a daily cycle of ±0.3 sd"
