"""Vectors as points of a lattice: what is computed of them then is a sum of whole numbers, the same on every replica.

A vector that is wider than `WIDEST` is folded: neighbouring values are added up with random signs, which keeps distances on average (Achlioptas 2003). Then each value is
rounded to a multiple of 1/4096 of the kernel's bandwidth, and the baseline's centre is taken off. Products of such whole numbers with those of `random_features` and
`reconstruction` are exact in 64-bit floats, in whatever order or batch they are added.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats

NARROWEST: Final = 128
"""Values per row from which on a tensor is a vector, unless the settings say otherwise."""

WIDEST: Final = 2048
STEPS: Final = 4096
"""Steps of the lattice in a bandwidth."""

Vectors: TypeAlias = npt.NDArray[np.float32]
"""Rows × width; a row with anything that is not finite is missing."""

_FARTHEST: Final = 2.0**21  # steps from the centre, in each direction: 512 bandwidths
_LARGEST: Final = 1e30  # beyond this, values count as not finite: squares must not overflow
_PROBABILITY_TOLERANCE: Final = 1e-2
_NEARLY_ALL: Final = 0.95
_FEWEST_DISTANCES: Final = 1_024  # rows, whose distances from each other give the bandwidth


def folded_width(dimension: int) -> int:
    """Return how wide a vector of this dimension is once it is folded."""
    return math.ceil(dimension / math.ceil(dimension / WIDEST))


def folded(matrix: Floats) -> Vectors:
    """Return vectors (rows × dimension, at least 1) that are at most `WIDEST` wide."""
    rows, dimension = matrix.shape
    with np.errstate(over="ignore", invalid="ignore"):  # to infinity, which counts as missing
        if dimension <= WIDEST:
            return matrix.astype(np.float32)
        width, group = folded_width(dimension), math.ceil(dimension / WIDEST)
        signs = 1.0 - 2.0 * (raw_numbers(dimension, stream=1) >> np.uint64(63)).astype(np.float64)
        padded = np.zeros((rows, width * group))
        padded[:, :dimension] = matrix * signs
        return np.asarray(padded.reshape(rows, width, group).sum(axis=2), dtype=np.float32)


def raw_numbers(count: int, *, stream: int) -> npt.NDArray[np.uint64]:
    """Return random 64-bit numbers, the same with every version of NumPy."""
    return np.random.PCG64(stream).random_raw(count)


def usable(vectors: Vectors) -> npt.NDArray[np.bool_]:
    """Return which rows are not missing."""
    return np.asarray((np.abs(vectors) <= _LARGEST).all(axis=1))  # not so for NaN


def are_probabilities(vectors: Vectors) -> bool:
    """Return whether nearly all vectors, none missing, have no entry below 0 and add up to 1: those of replies in half precision too."""
    fit = (vectors >= 0).all(axis=1) & (np.abs(vectors.sum(axis=1, dtype=np.float64) - 1) <= _PROBABILITY_TOLERANCE)
    return len(vectors) > 0 and float(fit.mean()) >= _NEARLY_ALL


class Points(NamedTuple):
    """Rows of a batch that have a vector, as whole numbers of steps."""

    offsets: Floats
    """From the centre: rows × width."""
    squares: Floats
    """Of each row's length, from the origin."""


class Lattice:
    """Where vectors lie, in steps from a centre.

    >>> lattice = Lattice(np.array([1.0, 0.0], dtype=np.float32), bandwidth=2.0)
    >>> lattice.points(np.array([[1.5, 0.0]], dtype=np.float32)).offsets.tolist()
    [[1024.0, 0.0]]
    """

    def __init__(self, centre: Vectors, bandwidth: float) -> None:
        """`centre` is one vector, `bandwidth` (above 0) the distance that counts as far."""
        self.step: Final = bandwidth / STEPS
        self._centre = np.rint(centre.astype(np.float64) / self.step)

    def points(self, vectors: Vectors) -> Points:
        """Return vectors none of which is missing."""
        steps = np.rint(vectors / self.step, dtype=np.float64)
        squares = np.einsum("ij,ij->i", steps, steps)
        steps -= self._centre
        return Points(np.clip(steps, -_FARTHEST, _FARTHEST, out=steps), squares)


def median_distance(vectors: Vectors) -> float:
    """Return the median of the distances, above 0, between vectors, none missing; where they are all the same, their length; above 0 in any case.

    The median heuristic: Gretton et al., "A kernel two-sample test", 2012.
    """
    some = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), _FEWEST_DISTANCES)).astype(np.int64)].astype(np.float64) if len(vectors) else vectors
    if not len(some):
        return 1.0
    centred = some - some.mean(axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)
    between = (squares[:, None] + squares - 2 * centred @ centred.T)[np.triu_indices(len(some), 1)]
    apart = between[between > 1e-9 * squares.mean()]
    length = float(np.sqrt(np.einsum("ij,ij->i", some, some).max()))
    distance = math.sqrt(float(np.median(apart))) if len(apart) else length
    return max(distance, 1e-6 * length) or 1.0
