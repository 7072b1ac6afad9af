"""How much noisier traffic is than independent rows, and how long it remembers: bursts, repeated users and slow changes make neighbours alike.

The design effect of n rows is the variance of their mean over that of as many independent rows. Where the correlation of rows falls off as a
mixture of exponentials, each with a memory of τ rows, it is

    d(n) = 1 + Σ Eⱼ · g(n/τⱼ) ,   g(x) = 1 − (1 − e⁻ˣ)/x

so that Eⱼ is what component j adds in the long run. The variance of means of chunks of 4, 8, 16, … rows of the baseline, in its own order, gives
d at these lengths; least squares with no negative part gives the Eⱼ for memories on a grid. From them follow the noise of a window and of the baseline, whatever their
sizes, and how far one window foretells the next. Chunks go up to a sixteenth of the baseline: what takes longer than that to change is not seen,
and a baseline that was shuffled shows nothing. Sources: Kish, "Survey Sampling", 1965; Carlstein 1986 (blocks).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Integers
from detectors.least_squares import non_negative_least_squares
from detectors.tally import MeansT

Memories: TypeAlias = tuple[tuple[float, float], ...]
"""Of each component, its memory τ in rows and what it adds in the long run."""

_SHORTEST_CHUNK: Final = 4
_FEWEST_CHUNKS: Final = 16
_FEWEST_EVENTS: Final = 25  # missing rows below which their dependence is not estimated
_GRID_FACTOR: Final = 4.0  # between neighbouring memories: means of chunks do not tell closer ones apart
_STANDS_OUT: Final = 2.0  # standard errors by which one feature alone must be noisier than independent rows
_STANDS_APART: Final = 5.0  # standard errors by which one that is not counted among the others must be
_LEAST_EXCESS: Final = 0.01  # a component that adds less is noise


class Dependence:
    """The noise of means of rows that are alike."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories
        self.is_none: Final = not memories
        """Rows are independent."""

    def design_effect(self, rows: float) -> float:
        """Return how many times noisier the mean of so many neighbouring rows is than that of independent ones."""
        return 1.0 + sum(excess * _grown(rows / memory) for memory, excess in self._memories)

    def independent(self, rows: float) -> float:
        """Return how many independent rows are as noisy as these."""
        return rows / self.design_effect(rows)

    @property
    def worth_of_a_row(self) -> float:
        """How many independent rows one of very many is worth: what goes on for longer than a window counts, too."""
        return 1 / self.design_effect(math.inf)

    def worth(self, tally: MeansT) -> MeansT:
        """Return the tally of as many independent rows as are as noisy as these."""
        return tally.scaled(1 / self.design_effect(tally.rows))

    def wandering(self, rows: float) -> tuple[float, float]:
        """Return how much the means of windows of so many rows wander, and how far one foretells the next.

        That is their variance beyond 1/n, in units of the variance of one row, and the correlation of this part in neighbouring windows.
        """
        variance = covariance = 0.0
        for memory, excess in self._memories:
            length = rows / memory
            variance += excess * _grown(length) / rows
            covariance += excess * _fallen(length) ** 2 * length / 2 / rows
        return variance, covariance / variance if variance else 0.0


def _fallen(length: float) -> float:
    """Return (1 − e⁻ˣ)/x, 1 at 0."""
    return -math.expm1(-length) / length if length else 1.0


def _grown(length: float) -> float:
    """Return g(x), without cancellation where x is small."""
    return length / 2 - length**2 / 6 if length < 1e-4 else 1.0 - _fallen(length)


class Curves(NamedTuple):
    """The design effect of chunks of a feature's rows, at each of the `lengths`: of where its values lie, how far they spread, and which are missing."""

    location: Floats
    spread: Floats
    missing: Floats


def curves_of_numbers(bins: Integers, present: npt.NDArray[np.bool_], slices: Integers | None = None) -> Curves:
    """Return the curves of a numeric feature from the bin of each of its rows in order, of which some are `present`.

    With `slices`, the hour of a cycle that each row lies in, what repeats is no noise.
    """
    ranks = _middle_ranks(bins[present])
    location, spread = (_curve(_scores(values, present, slices)) for values in (ranks, np.abs(ranks - 0.5)))
    return Curves(location, spread, _curve_of_missing(present, slices))


def curves_of_levels(codes: Integers, present: npt.NDArray[np.bool_], slices: Integers | None = None) -> Curves:
    """Return the curves of a categorical feature from the code of each of its rows in order, of which some are `present`.

    Its location is that of all levels together, and it has no spread.
    """
    seen = codes[present]
    indicators = np.array([_scores((seen == code).astype(np.float64), present, slices) for code in np.unique(seen)])
    location = _curve(indicators if len(indicators) else np.zeros(len(present)))
    return Curves(location, np.ones_like(location), _curve_of_missing(present, slices))


def curves_of_vectors(features: Iterable[Floats], leading: Floats, present: npt.NDArray[np.bool_], slices: Integers | None = None) -> Curves:
    """Return the curves of several numbers that each row has (features × rows, some of them at a time), of which some are `present`: of all together, and of `leading` (rows).

    The leading one is the sum of them that varies most: it may remember longer than the others.
    """
    together = sum((_sums([_scores(row[present], present, slices) for row in some]) for some in features), np.zeros(len(lengths(len(present))) + 1))
    whole = together[1:] / together[0] if together[0] else np.ones(len(together) - 1)
    return Curves(whole, _curve(_scores(leading[present], present, slices)), _curve_of_missing(present, slices))


def lengths(rows: int) -> Integers:
    """Return the lengths of chunks, in rows, that a baseline of so many rows has enough of."""
    longest = rows // _FEWEST_CHUNKS
    return _SHORTEST_CHUNK * 2 ** np.arange(max(0, (longest // _SHORTEST_CHUNK).bit_length()))


def memories(features: Sequence[Curves], rows: int, made_of_them: Sequence[Curves] = ()) -> list[Memories]:
    """Return the mixture of memories that explains each feature's curves, of a baseline of so many rows; none where rows are as good as independent.

    Those of what is `made_of_them` follow; they say nothing new of what features share.

    Only what is beyond the noise of the estimates counts. Features of one traffic share its dependence, and a mean over them is less noisy: a
    feature has more than the mean only where it stands out.
    """
    if not features or not len(lengths(rows)):
        return [()] * (len(features) + len(made_of_them))
    noise = _noise(rows)
    shared = np.maximum.reduce([_beyond_noise(np.array(kind), noise) for kind in zip(*features, strict=True)])
    return [_fit(np.maximum(shared, np.max(curves, axis=0) * (1 - _STANDS_OUT * noise)), noise, rows) for curves in (*features, *made_of_them)]


def memories_of_losses(losses: Floats) -> Memories:
    """Return the mixture of memories that explains numbers in their order, of which the mean alone matters.

    One series has no others beside it that would tell dependence from the noise of the estimate: so only half of a standard error is taken for noise,
    with which `bench.risk` stays within its budget and independent rows are not taken for alike ones.
    """
    if not len(lengths(len(losses))):
        return ()
    noise = _noise(len(losses))
    return _fit(_curve(losses - losses.mean()) * (1 - noise / 2), noise, len(losses))


def _noise(rows: int) -> Floats:
    """Return the noise of a variance from so many chunks as there are of each length, in units of itself."""
    return np.asarray(np.sqrt(2 / (rows // lengths(rows))))


def _beyond_noise(curves: Floats, noise: Floats) -> Floats:
    """Return the mean of features' curves, less its standard error.

    Features that go together do not average their noise out. How far they do shows in how much less than their noise they differ from each other.
    One that trends, or has a cycle of its own, stands apart from the others, and is no reason to take them for dependent.
    """
    is_alike = (curves <= np.median(curves, axis=0) * (1 + _STANDS_APART * noise)).all(axis=1)
    curves = curves[is_alike] if is_alike.any() else curves
    mean, count = curves.mean(axis=0), len(curves)
    variance = (mean * noise) ** 2
    apart = curves.var(axis=0, ddof=1) if count > 1 else np.zeros_like(mean)
    return np.asarray(mean - np.sqrt(np.maximum(variance / count, variance - apart * (1 - 1 / count))))


def _fit(curve: Floats, noise: Floats, rows: int) -> Memories:
    curve = np.maximum(curve, 1.0)
    grid = _GRID_FACTOR ** np.arange(max(1.0, math.log(rows / _FEWEST_CHUNKS, _GRID_FACTOR) + 1))
    growth = np.array([[_grown(length / memory) for memory in grid] for length in lengths(rows).tolist()])
    errors = curve * noise
    excess = non_negative_least_squares(growth / errors[:, None], (curve - 1) / errors)
    return tuple((float(memory), float(each)) for memory, each in zip(grid, excess, strict=True) if each >= _LEAST_EXCESS)


def _middle_ranks(bins: Integers) -> Floats:
    """Return the share of rows below each row's bin and in half of it."""
    counts = np.bincount(bins)
    return np.asarray((np.cumsum(counts) - counts / 2)[bins] / max(len(bins), 1))


def _scores(values: Floats, present: npt.NDArray[np.bool_], slices: Integers | None) -> Floats:
    """Return the values about their mean, or about that of their slice; 0 where missing."""
    scores = np.zeros(len(present))
    if len(values):
        scores[present] = values - (values.mean() if slices is None else means_of_slices(values, slices[present]))
    return scores


def means_of_slices(values: Floats, slices: Integers) -> Floats:
    """Return for each value the mean of its slice."""
    return np.asarray((np.bincount(slices, weights=values) / np.maximum(1, np.bincount(slices)))[slices])


def _curve_of_missing(present: npt.NDArray[np.bool_], slices: Integers | None) -> Floats:
    events = len(present) - np.count_nonzero(present)
    values = present.astype(np.float64) if events >= _FEWEST_EVENTS else np.zeros(len(present))
    return _curve(_scores(values, np.ones_like(present), slices))


def _curve(scores: Floats) -> Floats:
    """Return the variance of chunk means over that of independent rows, of one row of scores about 0 or of several together; 1 where they do not vary."""
    variance, *of_chunks = _sums(scores).tolist()
    return np.array([each / variance if variance else 1.0 for each in of_chunks])


def _sums(scores: Floats | Sequence[Floats]) -> Floats:
    """Return the variance of rows of scores, and that of chunk means as if of one row, each summed over the scores."""
    scores = np.asarray(scores)
    variance = float((scores**2).mean(axis=-1).sum()) if scores.size else 0.0
    return np.array([variance, *(_at(scores, length) for length in lengths(scores.shape[-1]).tolist())])


def _at(scores: Floats, length: int) -> float:
    chunks = scores.shape[-1] // length
    means = scores[..., : chunks * length].reshape(*scores.shape[:-1], chunks, length).mean(axis=-1)
    return float(length * means.var(axis=-1, ddof=1).sum())
