"""The baseline of a feature whose value is a vector, from the rows in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.arrays import Column, Columns, Floats
from detectors.cycle import Hours
from detectors.dependence import Curves, curves_of_vectors
from detectors.derived import VectorReader
from detectors.random_features import FEATURES, Waves, features_of
from detectors.reconstruction import principal_components, reconstruction_errors
from detectors.vectors import Lattice, Vectors, are_probabilities, median_distance, usable
from records.baseline import VectorBaseline

_ScalarT = TypeVar("_ScalarT", bound=np.generic)

_ROWS_AT_ONCE: Final = 2_000
_FEATURES_AT_ONCE: Final = 16


class VectorDraft(NamedTuple):
    """A vector, the columns that are made of it, and how alike its neighbouring rows are."""

    feature: VectorBaseline
    columns: Columns
    curves: Curves


def vector_draft(name: str, vectors: Vectors, dimensions: Column | None, hours: Hours | None) -> VectorDraft:
    """Return the baseline of a column of vectors, with no memories yet; `dimensions` are the values in each row's vector as it came."""
    present = usable(vectors)
    seen = vectors[present]
    feature, errors_of_second_half = _measures(name, seen, vectors.shape[1])
    if dimensions is not None and not np.isnan(dimensions).all():
        feature = msgspec.structs.replace(feature, dimension=int(np.nanmedian(dimensions)))
    feature = msgspec.structs.replace(feature, has_class=feature.dimension == feature.width and are_probabilities(seen))
    reader = VectorReader(feature)
    batches = [reader.columns(vectors[first : first + _ROWS_AT_ONCE]) for first in range(0, len(vectors), _ROWS_AT_ONCE)]
    columns = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    waves = columns.pop(name)
    columns[f"{name}.reconstruction_error"][np.flatnonzero(present)[len(seen) // 2 :]] = errors_of_second_half
    described, curves = _spread(feature, waves, present, hours)
    return VectorDraft(described, columns, curves)


def _measures(name: str, seen: Vectors, width: int) -> tuple[VectorBaseline, Floats]:
    """Return what vectors are measured by, and the reconstruction errors of the second half of them, with the components of the first."""
    bandwidth = median_distance(seen)
    centre = np.asarray(seen.mean(axis=0, dtype=np.float64) if len(seen) else np.zeros(width), dtype="<f4")
    lattice = Lattice(centre, bandwidth)
    first, second = (principal_components(lattice.points(rows).offsets) for rows in np.split(seen, [len(seen) // 2]))
    errors = [reconstruction_errors(lattice.points(rows).offsets, first, lattice.step) for rows in _batches(seen[len(seen) // 2 :])]
    feature = VectorBaseline(
        name=name,
        width=width,
        dimension=width,
        rows=len(seen),
        bandwidth=bandwidth,
        centre=centre.tobytes(),
        components=second.astype("<i2").tobytes(),
        usual_norm=float(np.median(np.linalg.norm(seen.astype(np.float64), axis=1))) if len(seen) else 0.0,
        sums=(0,) * FEATURES,
        spectrum=(),
    )
    return feature, np.concatenate(errors) if errors else np.empty(0)


def _spread(feature: VectorBaseline, waves: Waves, present: npt.NDArray[np.bool_], hours: Hours | None) -> tuple[VectorBaseline, Curves]:
    """Return the feature with the mean and covariance of its random features, and their curves. What repeats is no noise."""
    rows = max(1, feature.rows)
    of_rows = hours.of_rows if hours else np.zeros(len(waves), dtype=np.int64)
    count = hours.number if hours else 1
    slice_rows = np.bincount(of_rows[present], minlength=count)
    slice_sums = np.zeros((count, FEATURES))
    squares = np.zeros((FEATURES, FEATURES))
    for batch, hour in zip(_batches(waves), _batches(of_rows), strict=True):
        values = features_of(batch)
        np.add.at(slice_sums, hour, values)
        squares += values.T @ values
    means = slice_sums / np.maximum(1, slice_rows)[:, None]
    covariance = squares / rows - (means * slice_rows[:, None]).T @ means / rows
    eigenvalues, directions = np.linalg.eigh(covariance)
    eigenvalues = np.maximum(eigenvalues[::-1], 0.0)
    mean = slice_sums.sum(axis=0) / rows
    whole = float(eigenvalues.sum())
    leading = np.concatenate([features_of(batch) @ directions[:, -1] for batch in _batches(waves)])
    some = (features_of(waves[:, first : first + _FEATURES_AT_ONCE].T) for first in range(0, FEATURES, _FEATURES_AT_ONCE))
    described = msgspec.structs.replace(
        feature,
        sums=tuple(waves.sum(axis=0, dtype=np.int64).tolist()),
        spectrum=tuple(eigenvalues.tolist()),
        spread_error=2 * float(np.sqrt(max(0.0, mean @ covariance @ mean))) / whole if whole else 0.0,  # a row's |φ − mean|² is 1 + |mean|² − 2 φ·mean
        slice_rows=tuple(slice_rows.tolist()) if hours else (),
        slice_means=means.astype("<f4").tobytes() if hours else b"",
    )
    return described, curves_of_vectors(some, leading, present, hours.of_rows if hours else None)


def _batches(rows: npt.NDArray[_ScalarT]) -> Iterator[npt.NDArray[_ScalarT]]:
    return (rows[first : first + _ROWS_AT_ONCE] for first in range(0, len(rows), _ROWS_AT_ONCE))
