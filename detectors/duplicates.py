"""Duplicates: rows that equal an earlier row of their window in every feature, as retries, replays and a client that is stuck send them.

    share = 1 − D/n ,   D distinct rows among n

Rows are hashed to 32 bits, the same on every replica, and a window keeps the 1,024 smallest hashes: those of a union are among those of its parts, so they merge
exactly. Up to as many distinct rows D is exact. Beyond, U being the largest hash kept as a share of all, D is about (k − 1)/U, within 1/√k; the test takes the most that is
within three of those, hence the fewest duplicates. Source: Beyer, Haas, Reinwald, Sismanis and Gemulla, "On synopses for distinct-value estimation under multiset operations", 2007.

How many duplicates are usual depends on how many rows there are: with few levels most rows equal another one. So a baseline has the share in stretches of 8, 16, 32, … rows
up to all of it, and a window is held against that of stretches at least as long; of a longer window than the baseline, the share grows in proportion at most, since the chance of
the next row to be a duplicate is concave in the rows. More than usual is tested as any rate is (`two_proportions`), with counts divided by how much noisier stretches are than a binomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.arrays import Columns, Floats, are_codes, levels_of, numbers_of
from records.baseline import DuplicateBaseline, FeatureBaseline, NumericBaseline
from records.window import DuplicateSummary

KEPT: Final = 1_024
"""Hashes in a summary."""

_SHORTEST: Final = 8
_SURE: Final = 3.0  # standard errors of an estimated number of distinct rows
_FEWEST_STRETCHES: Final = 16  # that tell how noisy they are
_HELD: Final = 16 * KEPT  # hashes that are held before the smallest are looked for
_LEVELS_CACHED: Final = 10_000
_HASHES: Final = 2**32
_MISSING: Final = np.float64(np.nan).view(np.uint64)
_LAST_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint32]


class RowHasher:
    """Hashes rows by all features of a baseline."""

    def __init__(self, features: Sequence[FeatureBaseline]) -> None:
        numeric = [feature.name for feature in features if isinstance(feature, NumericBaseline)]
        self._multipliers = np.array([_hash(name) | 1 for name in numeric], dtype=np.uint64)[:, None]
        self._of_levels = [_LevelHashes(feature.name) for feature in features if not isinstance(feature, NumericBaseline)]

    def __call__(self, numbers: Floats, levels: Sequence[Sequence[str | None]]) -> Hashes:
        """Return the hashes of rows: of the `numbers` of numeric features (features × rows) and the `levels` of the others, each in the order of the baseline.

        What is missing, or not usable, is one and the same value.
        """
        bits = (numbers + 0.0).view(np.uint64)  # of two zeros one
        bits[np.isnan(numbers)] = _MISSING
        hashes = (_folded(bits) * self._multipliers).sum(axis=0, dtype=np.uint64)
        for of_levels, column in zip(self._of_levels, levels, strict=True):
            hashes += np.fromiter(map(of_levels.__getitem__, column), dtype=np.uint64, count=len(column))
        return (_folded(_folded(hashes) * _LAST_MULTIPLIER) >> np.uint64(32)).astype(np.uint32)


class _LevelHashes(dict[str | None, int]):
    """The hashes of one feature's levels, made as they come."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, level: str | None) -> int:
        found = _hash(f"{self._name}\0{'' if level is None else 'x' + level}")
        if len(self) < _LEVELS_CACHED:
            self[level] = found
        return found


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _folded(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return bits of which the low half depends on the high one too: what is multiplied must not end in many zeros."""
    folded = bits >> np.uint64(32)
    folded ^= bits
    return folded


class DuplicateCounter:
    """The smallest hashes of a window's rows."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._hashes: list[Hashes] = []
        self._held = 0

    def add(self, hashes: Hashes) -> None:
        """Add rows."""
        self._hashes.append(hashes)
        self._held += len(hashes)
        if self._held > _HELD:
            self._hashes = [self._smallest()]
            self._held = len(self._hashes[0])

    def resume(self, summary: DuplicateSummary) -> None:
        """Go on with what a summary has; this one must be empty."""
        self.add(np.frombuffer(summary.smallest, dtype="<u4").astype(np.uint32))

    def summary(self) -> DuplicateSummary:
        """Return what was counted."""
        return DuplicateSummary(smallest=self._smallest().astype("<u4").tobytes())

    def _smallest(self) -> Hashes:
        return np.unique(np.concatenate([np.empty(0, dtype=np.uint32), *self._hashes]))[:KEPT]


def merged(first: DuplicateSummary, second: DuplicateSummary) -> DuplicateSummary:
    """Return the summary of the rows of both."""
    counter = DuplicateCounter()
    for each in (first, second):
        counter.add(np.frombuffer(each.smallest, dtype="<u4").astype(np.uint32))
    return counter.summary()


def fewest_duplicates(summary: DuplicateSummary, rows: int) -> float:
    """Return how many of so many rows equal an earlier one, at least."""
    smallest = np.frombuffer(summary.smallest, dtype="<u4")
    if len(smallest) < KEPT:
        return rows - len(smallest)
    distinct = (KEPT - 1) * _HASHES / (float(smallest[-1]) + 1) * (1 + _SURE / math.sqrt(KEPT))
    return max(0.0, rows - max(distinct, KEPT))


class DuplicateTallyState(msgspec.Struct, frozen=True, array_like=True, tag="duplicates"):
    """A tally as it is written down."""

    events: float
    rows: float
    usual: float


class DuplicateTally(NamedTuple):
    """Additive, and may be scaled: older windows count for less in a pool."""

    events: float
    """Rows that equal an earlier one of their window."""
    rows: float
    usual: float
    """As many of them as the baseline would have."""

    @classmethod
    def restored(cls, state: DuplicateTallyState) -> DuplicateTally:
        """Return the tally that was written down."""
        return cls(*msgspec.structs.astuple(state))

    def state(self) -> DuplicateTallyState:
        """Return what to write down."""
        return DuplicateTallyState(*self)

    def plus(self, other: DuplicateTally) -> DuplicateTally:
        """Return the counts of both."""
        return DuplicateTally(self.events + other.events, self.rows + other.rows, self.usual + other.usual)

    def scaled(self, factor: float) -> DuplicateTally:
        """Return each count times `factor`."""
        return DuplicateTally(self.events * factor, self.rows * factor, self.usual * factor)


class _Stretches(NamedTuple):
    share: float
    noise: float
    """How many times noisier the number of duplicates is than a binomial."""
    number: int


def duplicate_baseline(features: Sequence[FeatureBaseline], columns: Columns) -> DuplicateBaseline:
    """Return how many duplicates are usual in rows of these features, in the order of the traffic."""
    rows = len(next(iter(columns.values()), ()))
    numbers = [numbers_of(columns[feature.name])[0] for feature in features if isinstance(feature, NumericBaseline)]
    levels = [levels_of(columns[feature.name], are_codes=are_codes(feature.levels))[0] for feature in features if not isinstance(feature, NumericBaseline)]
    hashes = RowHasher(features)(np.array(numbers).reshape(len(numbers), rows), levels)
    lengths = [_SHORTEST * 2**power for power in range(max(1, math.ceil(math.log2(max(rows, _SHORTEST + 1) / _SHORTEST))))]
    stretches = [_stretches(hashes, length) for length in [*lengths, rows]]
    telling = [each.noise * (1 + 2 * math.sqrt(2 / each.number)) for each in stretches if each.number >= _FEWEST_STRETCHES]
    return DuplicateBaseline(lengths=(*lengths, rows), shares=tuple(each.share for each in stretches), noise=max([1.0, *telling]))


def _stretches(hashes: Hashes, length: int) -> _Stretches:
    number = len(hashes) // length
    sorted_ = np.sort(hashes[: number * length].reshape(number, length), axis=1)
    duplicates = (sorted_[:, 1:] == sorted_[:, :-1]).sum(axis=1)
    share = float(duplicates.mean()) / length if number else 0.0
    binomial = length * share * (1 - share)
    return _Stretches(share, float(duplicates.var()) / binomial if binomial else 1.0, number)
