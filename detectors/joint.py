"""All numbers at once: changes that are small in each of them, and in many.

    location = |mean of z over the window − that of the baseline| / √d ,   scale = the same of (z² − 1)/√2

with z the normal scores of a row's d numbers (`pairs`; 0 where there is none), so that both are about the root mean square of the features' changes, in standard deviations. Thirty features
that each move by 0.05 stand out together, while each alone is lost in its own noise. Both follow from the counts in bins that a window has anyway.
What they are when nothing has changed says `mean_distance`. Distances are Euclidean, not Mahalanobis's: a change along a direction in which the baseline hardly varies is no larger for that, and no
covariance is inverted. Source: Bai and Saranadasa, "Effect of high dimension: by an example of a two sample problem", Statistica Sinica 6, 1996.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Integers
from detectors.cycle import Hours
from detectors.dependence import Curves, curves_of_vectors, means_of_slices
from detectors.mean_distance import MeanDistance
from detectors.pairs import SCALE, scores_of_bins
from detectors.random_features import VectorTally
from detectors.tally import News, Tally
from records.baseline import Baseline, JointBaseline, MeanNoise, NumericBaseline
from records.verdict import TestResult

MAX_FEATURES: Final = 256
"""Numeric features of a model that are tested together: the first ones. Their covariance grows with the square."""

FLOOR: Final = 0.09
"""A root mean square that is worth an alert: a tenth of a standard deviation in each number is, of which scores in bins show a little less."""

_FEATURES_AT_ONCE: Final = 16


class JointDraft(NamedTuple):
    """The baseline of all numbers, with no memories yet, and how alike neighbouring rows are."""

    baseline: JointBaseline
    curves: Curves


def joint_draft(features: Sequence[NumericBaseline], bins: Integers, present: npt.NDArray[np.bool_], hours: Hours | None) -> JointDraft:
    """Return the baseline of these features, at least two, from the bin of each value (features × rows, in the order of the traffic), of which some are `present`.

    That all follow one cycle is no noise.
    """
    slices = hours.of_rows if hours else None
    location = np.array([_centred(location_scores(feature)[of_rows] * has, slices) for feature, of_rows, has in zip(features, bins, present, strict=True)])
    scale = np.array([_centred(scale_scores(feature)[of_rows] * has, slices) for feature, of_rows, has in zip(features, bins, present, strict=True)])
    baseline = JointBaseline(features=tuple(feature.name for feature in features), location=noise_of_mean(location), scale=noise_of_mean(scale))
    curves = [curves_of_vectors(_in_parts(scores), leading_parts(scores), np.ones(scores.shape[1], dtype=np.bool_)) for scores in (location, scale)]
    return JointDraft(baseline, Curves(curves[0].location, np.maximum(curves[0].spread, curves[1].spread), curves[1].location))


def features_of(joint: JointBaseline, baseline: Baseline) -> list[NumericBaseline]:
    """Return the features that are tested together, in their order."""
    names = set(joint.features)
    return [feature for feature in baseline.features if isinstance(feature, NumericBaseline) and feature.name in names]


def joint_among(names: Container[str], joint: JointBaseline) -> JointBaseline | None:
    """Return the baseline of these features alone, None where there are not two. The noise stays that of all of them, which is no less."""
    kept = tuple(name for name in joint.features if name in names)
    return msgspec.structs.replace(joint, features=kept) if len(kept) > 1 else None


def noise_of_mean(scores: Floats) -> MeanNoise:
    """Return the noise of the mean of several numbers of each row, about their means (numbers × rows)."""
    rows = scores.shape[1]
    spectrum = np.maximum(np.linalg.eigvalsh(scores @ scores.T / rows)[::-1], 0.0)
    squares = np.einsum("ij,ij->j", scores, scores)
    mean_square = float(squares.mean())
    return MeanNoise(
        spectrum=tuple(spectrum.tolist()),
        spread_error=float(squares.std()) / mean_square if mean_square else 0.0,
        largest=float(np.abs(leading_parts(scores)).max()),
    )


def leading_parts(scores: Floats) -> Floats:
    """Return the part of each row along the direction that varies most, of several numbers of each row about their means (numbers × rows)."""
    return np.asarray(np.linalg.eigh(scores @ scores.T)[1][:, -1] @ scores)


def location_scores(feature: NumericBaseline) -> Floats:
    """Return z of each bin."""
    return np.asarray(scores_of_bins(feature) / SCALE)


def scale_scores(feature: NumericBaseline) -> Floats:
    """Return (z² − 1)/√2 of each bin."""
    return np.asarray((location_scores(feature) ** 2 - 1) / math.sqrt(2))


class JointScores:
    """Makes the means of all scores, first those of location, then those of scale, of the counts of the features."""

    def __init__(self, features: Sequence[NumericBaseline]) -> None:
        self._names = [feature.name for feature in features]
        self._scores = np.array([np.concatenate([scores(feature) for feature in features]) for scores in (location_scores, scale_scores)])
        self._firsts = np.cumsum([0, *(len(feature.counts) for feature in features[:-1])])

    def tally(self, tallies: Mapping[str, Tally], rows: float) -> VectorTally:
        """Return the sums over so many rows."""
        counts = np.concatenate([tallies[name].counts for name in self._names])
        return VectorTally(np.add.reduceat(self._scores * counts, self._firsts, axis=1).ravel(), rows)


class JointTest:
    """The distance of all features' scores from the baseline's, its p-value and its effect."""

    def __init__(self, name: str, part: slice, distance: MeanDistance) -> None:
        """The test looks at this part of the means."""
        self.name: Final = name
        self._part = part
        self._distance = distance
        self.floor: Final = distance.floor

    def result(self, news: News[VectorTally]) -> TestResult:
        """Return the distance, its p-value and its effect."""
        return self._distance.result(self._mean(news.tally), news.tally.rows, remaining=news.remaining)

    def size(self, tally: VectorTally) -> float:
        """Return the distance without the part that noise makes."""
        return self._distance.size(self._mean(tally), tally.rows)

    def can_return(self, tally: VectorTally) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        return self._distance.can_return(tally.rows)

    def return_p_value(self, tally: VectorTally) -> float:
        """Return the p-value of "the effect is at the floor or above"."""
        return self._distance.return_p_value(self._mean(tally), tally.rows)

    def _mean(self, tally: VectorTally) -> Floats:
        return np.asarray(tally.frequencies()[self._part])


def joint_tests(baseline: JointBaseline, usual: VectorTally, independent_rows: float, risk: float) -> list[JointTest]:
    """Return the tests of a baseline whose means are the usual ones, worth `independent_rows`; each is wrong about its own error with probability `risk`."""
    half = len(baseline.features)
    parts = {"location": (slice(None, half), baseline.location), "scale": (slice(half, None), baseline.scale)}
    means = usual.frequencies()
    return [JointTest(name, part, MeanDistance(means[part], noise, independent_rows, risk, FLOOR, math.sqrt(half))) for name, (part, noise) in parts.items()]


def _centred(scores: Floats, slices: Integers | None) -> Floats:
    return scores - (scores.mean() if slices is None else means_of_slices(scores, slices))


def _in_parts(scores: Floats) -> Iterator[Floats]:
    return (scores[first : first + _FEATURES_AT_ONCE] for first in range(0, len(scores), _FEATURES_AT_ONCE))
