"""Random Fourier features: a few numbers of each vector whose means tell distributions apart.

    φ(x) = (cos ωⱼ·x/σ, sin ωⱼ·x/σ) / √m ,  j = 1 … m ,  ωⱼ standard normal

so that φ(x)·φ(y) is about exp(−|x − y|²/2σ²), the Gaussian kernel of bandwidth σ, and a window is known by the sum of φ over its rows. The frequencies are the same on every
replica, and for every version of NumPy. Cosines are kept as whole numbers of 1/4096, so that sums are exact and do not depend on the order of rows or replicas; angles are
products of whole numbers. Source: Rahimi and Recht, "Random features for large-scale kernel machines", 2007; pairs of cosine and sine are the less noisy form
(Sutherland and Schneider, "On the error of random Fourier features", 2015).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special

from detectors.arrays import Floats
from detectors.vectors import STEPS, raw_numbers
from records.baseline import VectorBaseline
from records.window import VectorSummary

FEATURES: Final = 256
SCALE: Final = 4096
"""The whole number that stands for 1."""

Waves: TypeAlias = npt.NDArray[np.int16]
"""Cosines and sines in units of 1/4096: rows × features; a row without a vector has zeros, which no vector has."""

_FREQUENCY_STEPS: Final = 4096
_UNIT: Final = 1 / (SCALE * np.sqrt(FEATURES / 2))


def waves(offsets: Floats) -> Waves:
    """Return the cosines and sines of points of the lattice (rows × width)."""
    angles = offsets @ _frequencies(offsets.shape[1])  # exact: less than 2⁵³ before scaling
    angles /= STEPS * _FREQUENCY_STEPS
    found = np.empty((len(offsets), FEATURES), dtype=np.int16)
    found[:, : FEATURES // 2] = np.rint(np.cos(angles) * SCALE)
    found[:, FEATURES // 2 :] = np.rint(np.sin(angles) * SCALE)
    return found


class VectorTallyState(msgspec.Struct, frozen=True, array_like=True, tag="vector"):
    """A tally of vectors as it is written down."""

    sums: tuple[float, ...]
    rows: float


class VectorTally(NamedTuple):
    """Additive, and may be scaled: older windows count for less in a pool."""

    sums: Floats
    """Of φ, each of its features."""
    rows: float
    """Those with a vector."""

    @classmethod
    def of(cls, summary: VectorSummary | VectorBaseline) -> VectorTally:
        """Return the sums of a summary, or of a baseline."""
        return cls(np.array(summary.sums, dtype=np.float64) * _UNIT, summary.rows)

    @classmethod
    def restored(cls, state: VectorTallyState) -> VectorTally:
        """Return the tally that was written down."""
        return cls(np.array(state.sums), state.rows)

    @classmethod
    def from_frequencies(cls, frequencies: Floats, rows: float) -> VectorTally:
        """Return so many rows whose mean this is."""
        return cls(frequencies * rows, rows)

    @property
    def present(self) -> float:
        """All rows have a vector."""
        return self.rows

    def state(self) -> VectorTallyState:
        """Return what to write down."""
        return VectorTallyState(tuple(self.sums.tolist()), self.rows)

    def frequencies(self) -> Floats:
        """Return the mean of φ."""
        return np.asarray(self.sums / (self.rows or 1.0))

    def plus(self, other: VectorTally) -> VectorTally:
        """Return the sums of both."""
        return VectorTally(self.sums + other.sums, self.rows + other.rows)

    def scaled(self, factor: float) -> VectorTally:
        """Return each sum times `factor`."""
        return VectorTally(self.sums * factor, self.rows * factor)


class VectorCounter:
    """Sums over the rows of one window."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._rows = 0
        self._sums = np.zeros(FEATURES, dtype=np.int64)

    def add(self, rows: Waves) -> None:
        """Add rows; those without a vector are not counted."""
        self._rows += int(np.count_nonzero(rows.any(axis=1)))
        self._sums += rows.sum(axis=0, dtype=np.int64)

    def resume(self, summary: VectorSummary) -> None:
        """Go on with the sums of a summary."""
        self._rows, self._sums = summary.rows, np.array(summary.sums, dtype=np.int64)

    def summary(self) -> VectorSummary:
        """Return the sums."""
        return VectorSummary(rows=self._rows, sums=tuple(self._sums.tolist()))


def features_of(rows: Waves) -> Floats:
    """Return φ of each row."""
    return np.asarray(rows * _UNIT)


@lru_cache(maxsize=8)
def _frequencies(width: int) -> Floats:
    """Return the frequencies, width × features/2, as whole numbers of 1/4096."""
    count = width * FEATURES // 2
    uniform = ((raw_numbers(count, stream=0) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(np.rint(special.ndtri(uniform) * _FREQUENCY_STEPS).reshape(width, FEATURES // 2))
