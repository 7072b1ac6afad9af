"""What goes with what: sums of products of the features' scores, which merge by addition.

    z = Φ⁻¹(rank of the bin) ,   r(i, j) = (Σ zᵢzⱼ/n − z̄ᵢz̄ⱼ) / (sᵢ·sⱼ) ,   s² = Σ z²/n − z̄²

A row's score in a numeric feature is the normal score of its bin in the baseline (its rank, as a number that would be normal), so that correlations are those of
ranks, and tails weigh no more than others. Scores are whole numbers of 1/256, so that sums are exact and do not depend on the order of rows or replicas.
A row without a value has the score 0, the middle. Source: van der Waerden, "Order tests for the two-sample problem and
their power", Indagationes Mathematicae 14, 1952 (normal scores).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
from scipy import special

from detectors.arrays import Floats, Integers
from records.baseline import FeatureBaseline, NumericBaseline
from records.window import PairSummary

MAX_FEATURES: Final = 64
"""Numeric features of a model among which pairs are watched: the first ones. Their sums grow with the square."""

SCALE: Final = 256
LARGEST_PRODUCT: Final = float(special.ndtri(1 - 1 / 128) ** 2)
"""Of two scores in the outermost of 64 equal bins."""


def varying(features: Sequence[FeatureBaseline]) -> list[NumericBaseline]:
    """Return the numeric features that vary."""
    return [feature for feature in features if isinstance(feature, NumericBaseline) and np.count_nonzero(feature.counts) > 1]


def scores_of_bins(baseline: NumericBaseline) -> Integers:
    """Return the score of each bin of a feature, in units of 1/256."""
    counts = np.array(baseline.counts, dtype=np.float64)
    ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
    outermost = 0.5 / max(counts.sum(), 1.0)
    return np.asarray(np.rint(special.ndtri(np.clip(ranks, outermost, 1 - outermost)) * SCALE), dtype=np.int64)


class PairTallyState(msgspec.Struct, frozen=True, array_like=True, tag="pairs"):
    """A tally of pairs as it is written down."""

    sums: tuple[float, ...]
    products: tuple[float, ...]
    rows: float


@dataclass(frozen=True, eq=False)
class PairTally:
    """Additive, and may be scaled: older windows count for less in a pool."""

    sums: Floats
    """Of the scores of each of the features."""
    products: Floats
    """Of the scores of each two of the features: features × features."""
    rows: float

    @classmethod
    def of(cls, summary: PairSummary, rows: int) -> PairTally:
        """Return the sums of a summary of so many rows."""
        return cls.restored(PairTallyState(summary.sums, summary.products, rows))

    @classmethod
    def restored(cls, state: PairTallyState) -> PairTally:
        """Return the tally that was written down."""
        sums = np.array(state.sums, dtype=np.float64)
        products = np.zeros((len(sums), len(sums)))
        products[np.triu_indices(len(sums))] = state.products
        return cls(sums, products + np.triu(products, 1).T, state.rows)

    def state(self) -> PairTallyState:
        """Return what to write down."""
        upper = self.products[np.triu_indices(len(self.sums))]
        return PairTallyState(tuple(self.sums.tolist()), tuple(upper.tolist()), self.rows)

    def plus(self, other: PairTally) -> PairTally:
        """Return the sums of both."""
        return PairTally(self.sums + other.sums, self.products + other.products, self.rows + other.rows)

    def scaled(self, factor: float) -> PairTally:
        """Return each sum times `factor`."""
        return PairTally(self.sums * factor, self.products * factor, self.rows * factor)

    @cached_property
    def correlations(self) -> Floats:
        """Return the correlation of each pair, the features in order: (0, 1), (0, 2), …, (1, 2), …; 0 where one of them does not vary."""
        rows = self.rows or 1.0
        means = self.sums / rows
        covariances = self.products / rows - np.outer(means, means)
        deviations = np.sqrt(np.maximum(np.diag(covariances), 0.0))
        whole = np.outer(deviations, deviations)
        return np.asarray(np.divide(covariances, whole, out=np.zeros_like(whole), where=whole > 0)[np.triu_indices(len(means), 1)])


class PairCounter:
    """Sums over the rows of one window."""

    def __init__(self, baselines: Sequence[NumericBaseline], bins: int) -> None:
        """`bins` are as many as the feature that has most of them has."""
        self._scores = np.zeros((len(baselines), bins))
        for row, baseline in zip(self._scores, baselines, strict=True):
            row[: len(baseline.counts)] = scores_of_bins(baseline)
        self._offsets = np.arange(len(baselines))[:, None] * bins
        self.clear()

    def clear(self) -> None:
        """Begin the next window."""
        features = len(self._scores)
        self._sums = np.zeros(features)
        self._products = np.zeros((features, features))

    def add(self, bins: Integers, valid: np.ndarray) -> None:
        """Add rows by the bin of each value (features × rows); one that is not `valid` has the middle score."""
        scores = self._scores.ravel().take(bins + self._offsets) * valid
        self._sums += scores.sum(axis=1)
        self._products += scores @ scores.T

    def resume(self, tally: PairTally) -> None:
        """Go on with these sums."""
        self._sums, self._products = tally.sums, tally.products

    def summary(self) -> PairSummary:
        """Return the sums, which are whole numbers."""
        upper = self._products[np.triu_indices(len(self._sums))]
        return PairSummary(sums=tuple(map(int, self._sums.tolist())), products=tuple(map(int, upper.tolist())))
