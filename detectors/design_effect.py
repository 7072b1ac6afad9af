"""How much noisier traffic is than independent rows: bursts, repeated users and slow changes make neighbours alike.

The design effect is the variance of chunk means over that of means of as many independent rows, at least 1. It divides the number of rows
wherever noise is reckoned. Chunks of √n rows, in the order of the baseline, leave √n chunks to estimate it from: dependence over more
rows than that is not seen, and a baseline that was shuffled shows none. Source: Kish, "Survey Sampling", 1965; Carlstein 1986 (blocks).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Integers

_FEWEST_CHUNKS: Final = 8
_FEWEST_EVENTS: Final = 25  # missing rows below which their dependence is not estimated


def of_numbers(bins: Integers, present: npt.NDArray[np.bool_]) -> float:
    """Return the design effect of a numeric feature from the bin of each of its rows in order, of which some are `present`.

    The largest of those of location (the rank), of spread (the distance of the rank from the middle) and of being missing.
    """
    ranks = _middle_ranks(bins[present])
    return max(_of_scores(_scores(ranks, present)), _of_scores(_scores(np.abs(ranks - 0.5), present)), _of_missing(present))


def of_levels(codes: Integers, present: npt.NDArray[np.bool_]) -> float:
    """Return the design effect of a categorical feature from the code of each of its rows in order, of which some are `present`.

    The larger of those of its levels' frequencies, all together, and of being missing.
    """
    seen = codes[present]
    indicators = [_scores((seen == code).astype(np.float64), present) for code in np.unique(seen)]
    return max(_of_scores(np.array(indicators)) if indicators else 1.0, _of_missing(present))


def pooled(estimates: list[float]) -> list[float]:
    """Return each estimate, or their mean where it is larger, or 1: features of one traffic share its dependence, and a mean is less noisy."""
    least = max(1.0, sum(estimates) / max(len(estimates), 1))
    return [max(estimate, least) for estimate in estimates]


def _middle_ranks(bins: Integers) -> Floats:
    """Return the share of rows below each row's bin and in half of it."""
    counts = np.bincount(bins)
    return np.asarray((np.cumsum(counts) - counts / 2)[bins] / max(len(bins), 1))


def _scores(values: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Return the values about their mean, 0 where missing."""
    scores = np.zeros(len(present))
    if len(values):
        scores[present] = values - values.mean()
    return scores


def _of_missing(present: npt.NDArray[np.bool_]) -> float:
    events = len(present) - np.count_nonzero(present)
    return _of_scores(present - np.mean(present)) if events >= _FEWEST_EVENTS else 1.0


def _of_scores(scores: Floats) -> float:
    """Return the variance of chunk means over that of independent rows, of one row of scores about 0 or of several together."""
    rows = scores.shape[-1]
    length = math.isqrt(rows)
    chunks = rows // length if length else 0
    variance = float((scores**2).sum()) / max(rows, 1)
    if chunks < _FEWEST_CHUNKS or variance == 0:
        return 1.0
    means = scores[..., : chunks * length].reshape(-1, chunks, length).mean(axis=-1)
    return float(length * means.var(axis=-1, ddof=1).sum() / variance)
