"""What is made of columns that are neither numbers nor levels: numbers and levels that can be watched.

| column | becomes |
| --- | --- |
| `v`, a vector | its random features, and `v.norm`, `v.reconstruction_error`; of probabilities also `v.class`, `v.confidence` |
| `t`, free text | `t.length`, `t.out_of_vocabulary`, `t.script` |
| `d`, a timestamp | `d.age_seconds`, `d.hour` |
| `c`, a category with more levels than are counted one by one | stays, and `c.bucket` |

A number is made of each row alone, by what the baseline says, so that every replica makes the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

import numpy as np

from detectors.arrays import Column, Columns, Floats, Integers, is_vector
from detectors.hashing import BUCKET, buckets_of
from detectors.random_features import FEATURES, waves
from detectors.reconstruction import reconstruction_errors
from detectors.texts import TextReader, made_of_text, texts_of
from detectors.timestamps import TimeReader, made_of_time
from detectors.vectors import Lattice, Points, Vectors, usable
from records.baseline import Baseline, VectorBaseline

_STEPS_OF_NORM: Final = 1_000
"""A length is rounded to a thousandth of the usual one, so that what rounding in a model makes of vectors of length 1 is no drift."""


DIMENSION: Final = ".dimension"
"""Follows a vector's name in that of the number of values that it came with, which whoever reads vectors adds."""

_NORM: Final = ".norm"
_ERROR: Final = ".reconstruction_error"
_CLASS: Final = ".class"
_CONFIDENCE: Final = ".confidence"


def made_of(baseline: Baseline) -> frozenset[str]:
    """Return the names of the baseline's features that are made of other columns."""
    of_levels = (name + BUCKET for name in baseline.hashed)
    return frozenset(chain(of_levels, *map(made_of_vector, baseline.vectors), *map(made_of_text, baseline.texts), *map(made_of_time, baseline.times)))


def made_of_vector(baseline: VectorBaseline) -> Iterable[str]:
    """Return the names of the features that are made of a vector, or come with it."""
    return (baseline.name + ending for ending in (_NORM, _ERROR, DIMENSION, *((_CLASS, _CONFIDENCE) if baseline.has_class else ())))


def sources_of(baseline: Baseline) -> frozenset[str]:
    """Return the names of the columns of which the baseline's features are made."""
    return frozenset(chain((each.name for each in baseline.vectors), (each.name for each in baseline.texts), (each.name for each in baseline.times)))


class Derivation:
    """Makes columns of columns, as a baseline says."""

    def __init__(self, baseline: Baseline) -> None:
        self._vectors = [VectorReader(vector) for vector in baseline.vectors]
        self._texts = [TextReader(text) for text in baseline.texts]
        self._times = [TimeReader(time) for time in baseline.times]
        self._hashed = baseline.hashed
        self._makes_any = bool(made_of(baseline))

    def __call__(self, columns: Columns, times_ns: Integers | None = None) -> Columns:
        """Return the columns and what is made of them, whose rows have these times; a vector gives way to its random features."""
        if not self._makes_any:
            return columns
        made = dict(columns)
        for vector in self._vectors:
            made |= vector.columns(columns.get(vector.name))
        for text in self._texts:
            if text.name in columns:
                made |= text.columns(texts_of(columns[text.name]))
        for time in self._times:
            if time.name in columns:
                made |= time.columns(columns[time.name], times_ns)
        for name in self._hashed:
            if name in made:
                made[name + BUCKET] = buckets_of(made[name])
        return made


class VectorReader:
    """What is made of one vector."""

    def __init__(self, baseline: VectorBaseline) -> None:
        self.name: Final = baseline.name
        self.lattice: Final = Lattice(np.frombuffer(baseline.centre, dtype="<f4"), baseline.bandwidth)
        self._width = baseline.width
        self._components = np.frombuffer(baseline.components, dtype="<i2").reshape(-1, baseline.width)
        self._usual_norm = baseline.usual_norm
        self._has_class = baseline.has_class

    def columns(self, column: Vectors | None) -> Columns:
        """Return what is made of a column; nothing where it is not there. Rows whose vector cannot be used, and columns of another width, are missing."""
        if column is None:
            return {}
        rows = len(column)
        made: dict[str, Column] = {self.name: np.zeros((rows, FEATURES), dtype=np.int16)}
        made |= {self.name + ending: np.full(rows, np.nan) for ending in (_NORM, _ERROR)}
        present = usable(column) if is_vector(column) and column.shape[1] == self._width else np.zeros(rows, dtype=np.bool_)
        if present.any():
            points = self.lattice.points(column[present])
            made[self.name][present] = waves(points.offsets)
            made[self.name + _NORM][present] = self._norms(points)
            made[self.name + _ERROR][present] = reconstruction_errors(points.offsets, self._components, self.lattice.step)
        if self._has_class:
            made[self.name + _CLASS] = np.full(rows, None, dtype=np.object_)
            made[self.name + _CONFIDENCE] = np.full(rows, np.nan)
            if present.any():
                made[self.name + _CLASS][present] = column[present].argmax(axis=1).astype(str)
                made[self.name + _CONFIDENCE][present] = column[present].max(axis=1)
        return made

    def _norms(self, points: Points) -> Floats:
        norms = np.sqrt(points.squares) * self.lattice.step
        step = self._usual_norm / _STEPS_OF_NORM
        return np.asarray(np.rint(norms / step) * step) if step else norms
