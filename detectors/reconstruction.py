"""Reconstruction error: how much of a vector the directions in which vectors usually vary do not explain.

    r(x) = |x − c − Σ uₖ (uₖ·(x − c))|

with c the baseline's mean and uₖ its first principal components: as many as explain four fifths of the variance, 32 at most. It is a number per row, `NAME.reconstruction_error`,
with bins and tests like any other. Components fit the rows that they were made of better than others, so each half of a baseline is measured with the components of
the other half, and those of the second half are kept. Sources: Rabanser, Günnemann and Lipton, "Failing loudly", 2019 (PCA as a reduction for shift detection);
Halko, Martinsson and Tropp, "Finding structure with randomness", 2011 (the decomposition).
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats

MAX_COMPONENTS: Final = 32
EXPLAINED: Final = 0.8
"""Of the variance."""

Components: TypeAlias = npt.NDArray[np.int16]
"""Components × width, in units of 2⁻¹⁴."""

_UNIT: Final = 2.0**-14
_ROWS: Final = 4_096  # from which components are made
_SPARE: Final = 8  # directions more than are asked for, which makes the asked ones exact


def principal_components(offsets: Floats) -> Components:
    """Return the principal components of points (rows × width) about their mean; none where they do not vary."""
    some = offsets[np.linspace(0, len(offsets) - 1, min(len(offsets), _ROWS)).astype(np.int64)] if len(offsets) else offsets
    centred = some - some.mean(axis=0) if len(some) else some
    variance = float(np.einsum("ij,ij->", centred, centred))
    if not variance:
        return np.empty((0, offsets.shape[1]), dtype=np.int16)
    found = np.random.default_rng(0).normal(size=(offsets.shape[1], min(MAX_COMPONENTS + _SPARE, *centred.shape)))
    for _ in range(3):
        found = np.linalg.qr(centred.T @ (centred @ found))[0]
    _, strengths, directions = np.linalg.svd(centred @ found, full_matrices=False)
    enough = int(np.searchsorted(np.cumsum(strengths**2), EXPLAINED * variance)) + 1
    return np.rint((directions[: min(enough, MAX_COMPONENTS)] @ found.T) / _UNIT).astype(np.int16)


def reconstruction_errors(offsets: Floats, components: Components, step: float) -> Floats:
    """Return the error of each point (rows × width, in steps of the lattice), in the units of the vectors.

    >>> x = np.array([[3.0, 4.0]])
    >>> reconstruction_errors(x, np.array([[2**14, 0]], dtype=np.int16), step=0.5).tolist()
    [2.0]
    """
    explained = offsets @ (components.T * _UNIT)
    squares = np.einsum("ij,ij->i", offsets, offsets) - np.einsum("ij,ij->i", explained, explained)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)) * step)
