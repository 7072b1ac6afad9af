"""Baselines: made from columns, learned from traffic, read and written as JSON."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from detectors import dependence
from detectors.arrays import FREE_TEXT, Column, Columns, Floats, Integers, are_codes, is_level, is_numeric, is_vector, joined, levels_of, numbers_of
from detectors.binning import LARGEST_VALUE, bin_numbers, quantile_edges
from detectors.correlation import pair_baseline, pairs_among
from detectors.cycle import CycleError, Hours, Timed
from detectors.dependence import Curves
from detectors.derived import DIMENSION
from detectors.duplicates import duplicate_baseline
from detectors.hashing import BUCKET, buckets_of
from detectors.joint import MAX_FEATURES as MAX_TOGETHER
from detectors.joint import joint_among, joint_draft
from detectors.pairs import MAX_FEATURES as MAX_PAIRED
from detectors.pairs import scores_of_bins, varying
from detectors.random_features import FEATURES
from detectors.texts import reads_like_text, text_baseline, texts_of
from detectors.timestamps import reads_like_times, time_baseline
from detectors.vector_baseline import vector_draft
from records.baseline import Baseline, CategoricalBaseline, FeatureBaseline, NumericBaseline, PairBaseline, VectorBaseline

FORMAT: Final = 2
LEARNED: Final = "traffic"
"""The source of a baseline of first traffic."""

FEWEST_ROWS: Final = 100
"""Below this a baseline could not tell anything from anything."""

_LEVELS: Final = 64  # counted one by one
_RARE_LEVELS: Final = 10_000  # remembered, so that they are not unseen


class BaselineError(ValueError):
    """A baseline that cannot be made, read or used; the text says why and what to do."""


def build_baseline(
    columns: Columns, *, model: str, version: str = "", source: str, created_at_ns: int, timed: Timed | None = None, times_ns: Integers | None = None
) -> Baseline:
    """Return the baseline of columns of one length, rows in the order of the traffic: of numbers, for the most part, of levels, or of what others are made of (`derived`).

    With `timed`, the baseline has a cycle: it knows what is usual at each hour of it. `times_ns` are the times of the rows, where they are known.
    """
    rows = len(next(iter(columns.values()), ()))
    if rows < FEWEST_ROWS:
        raise BaselineError(f"a baseline needs at least {FEWEST_ROWS} rows, and {source} has {rows}: give more rows; 5,000 or more see small changes")
    slices = None if timed is None else _hours(timed, source)
    vector_drafts = [vector_draft(name, column, columns.get(name + DIMENSION), slices) for name, column in columns.items() if is_vector(column)]
    texts = [text_baseline(name, texts_of(column), has_length=f"{name}_characters" not in columns) for name, column in columns.items() if _is_text(column)]
    times = [time_baseline(name, column, timed.times_ns if timed else times_ns) for name, column in columns.items() if _is_time(column)]
    sources = [*(draft.feature.name for draft in vector_drafts), *(text.name for text, _ in texts), *(time.name for time, _ in times)]
    of_sources = [*(draft.columns for draft in vector_drafts), *(made for _, made in (*texts, *times))]
    columns = {name: column for name, column in chain(columns.items(), *(made.items() for made in of_sources)) if name not in sources}
    hashed = [name for name, column in columns.items() if is_level(column) and len(set(_texts_in(column))) > _LEVELS]
    columns |= {name + BUCKET: buckets_of(columns[name]) for name in hashed}
    drafts = [_numeric(name, column, slices) if _is_mostly_numeric(column) else _categorical(name, column, slices) for name, column in columns.items()]
    numbers = _Numbers.of([draft.feature for draft in drafts], columns)
    joint = joint_draft(numbers.features, numbers.bins, numbers.present, slices) if len(numbers.features) > 1 else None
    curves = [*(draft.curves for draft in drafts), *(draft.curves for draft in vector_drafts)]
    memories = dependence.memories(curves, rows, [joint.curves] if joint else [])
    features = tuple(msgspec.structs.replace(draft.feature, memories=each) for draft, each in zip(drafts, memories[: len(drafts)], strict=True))
    vectors = tuple(msgspec.structs.replace(draft.feature, memories=each) for draft, each in zip(vector_drafts, memories[len(drafts) :], strict=False))
    made_baseline = Baseline(
        baseline_id="",
        model=model,
        version=version,
        source=source,
        rows=rows,
        created_at_ns=created_at_ns,
        cycle_seconds=timed.cycle.seconds if timed else 0,
        features=features,
        pairs=_pairs(numbers, slices),
        joint=msgspec.structs.replace(joint.baseline, memories=memories[-1]) if joint else None,
        vectors=vectors,
        texts=tuple(text for text, _ in texts),
        times=tuple(time for time, _ in times),
        hashed=tuple(hashed),
        duplicates=duplicate_baseline(features, columns),
    )
    return _identified(made_baseline)


def _is_text(column: Column) -> bool:
    return column.dtype == FREE_TEXT or (is_level(column) and reads_like_text(_texts_in(column)))


def _is_time(column: Column) -> bool:
    return column.dtype.kind == "M" or (is_level(column) and reads_like_times(_texts_in(column)))


def _texts_in(column: Column) -> list[str]:
    return [value for value in column.tolist() if type(value) is str]


class _Numbers(NamedTuple):
    """The numeric features that vary, the first of them, and their rows."""

    features: list[NumericBaseline]
    bins: Integers
    """The bin of each value, 0 where there is none: features × rows."""
    present: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, features: Sequence[FeatureBaseline], columns: Columns) -> _Numbers:
        """Return those among features."""
        found = varying(features)[:MAX_TOGETHER]
        values = np.array([numbers_of(columns[feature.name])[0] for feature in found])
        present = np.abs(values) <= LARGEST_VALUE
        bins = np.zeros(values.shape, dtype=np.int64)
        for row, feature in enumerate(found):
            bins[row, present[row]] = bin_numbers(values[row, present[row]], feature.edges)
        return cls(found, bins, present)


def _pairs(numbers: _Numbers, hours: Hours | None) -> PairBaseline | None:
    """Return what goes with what among the numeric features, from the rows in their order; that all follow one cycle is no correlation."""
    among = numbers.features[:MAX_PAIRED]
    if len(among) < 2:
        return None
    scores = np.array([scores_of_bins(feature)[bins] * present for feature, bins, present in zip(among, numbers.bins, numbers.present, strict=False)])
    if hours is not None:
        scores = np.array([row - dependence.means_of_slices(row, hours.of_rows) for row in scores])
    return pair_baseline(tuple(feature.name for feature in among), scores)


def _hours(timed: Timed, source: str) -> Hours:
    try:
        return timed.hours()
    except CycleError as error:
        raise BaselineError(f"{source}: {error}") from None


def _is_mostly_numeric(column: Column) -> bool:
    if is_numeric(column):
        return True
    numbers, texts = numbers_of(column)
    return bool(np.count_nonzero(~np.isnan(numbers)) > texts)


class _Draft(NamedTuple):
    """A feature, and how alike its neighbouring rows are, before that is compared with other features."""

    feature: FeatureBaseline
    curves: Curves


def restricted(baseline: Baseline, is_watched: Callable[[str], bool]) -> Baseline:
    """Return the baseline with those features alone whose name is watched; itself where that is all of them."""
    features = tuple(feature for feature in baseline.features if is_watched(feature.name))
    vectors = tuple(vector for vector in baseline.vectors if is_watched(vector.name))
    texts = tuple(text for text in baseline.texts if is_watched(text.name))
    times = tuple(time for time in baseline.times if is_watched(time.name))
    hashed = tuple(name for name in baseline.hashed if is_watched(name))
    parts = (features, vectors, texts, times, hashed)
    if [*map(len, parts)] == [*map(len, (baseline.features, baseline.vectors, baseline.texts, baseline.times, baseline.hashed))]:
        return baseline
    names = {feature.name for feature in features}
    pairs = pairs_among(names, baseline.pairs) if baseline.pairs else None
    joint = joint_among(names, baseline.joint) if baseline.joint else None
    return _identified(
        msgspec.structs.replace(
            baseline, features=features, pairs=pairs, joint=joint, vectors=vectors, texts=texts, times=times, hashed=hashed, duplicates=None
        )
    )


def _identified(baseline: Baseline) -> Baseline:
    """Return the baseline with the id that its features give it."""
    sources = [each for each in (baseline.vectors, baseline.texts, baseline.times, baseline.hashed) if each]
    content = b"".join(map(msgspec.json.encode, [baseline.features, *sources]))
    return msgspec.structs.replace(baseline, baseline_id=hashlib.sha256(content).hexdigest()[:16])


def _numeric(name: str, column: Column, slices: Hours | None) -> _Draft:
    numbers, type_changes = numbers_of(column)
    present = np.abs(numbers) <= LARGEST_VALUE  # not so for NaN
    values = numbers[present]
    without_number = int(np.isnan(numbers).sum())
    edges = quantile_edges(values)
    bins = np.zeros(len(numbers), dtype=np.int64)
    bins[present] = bin_numbers(values, edges)
    counts = np.bincount(bins[present], minlength=len(edges) + 1)
    feature = NumericBaseline(
        name=name,
        edges=edges,
        counts=tuple(counts.tolist()),
        centres=_centres(values, bins[present], counts, edges),
        missing=without_number - type_changes,
        non_finite=len(numbers) - len(values) - without_number,
        type_changes=type_changes,
        mean=float(values.mean()) if len(values) else 0.0,
        standard_deviation=float(values.std()) if len(values) and values.min() < values.max() else 0.0,
        minimum=float(values.min()) if len(values) else 0.0,
        maximum=float(values.max()) if len(values) else 0.0,
        slices=slices.counts(bins, present, len(counts)) if slices else (),
    )
    return _Draft(feature, dependence.curves_of_numbers(bins, present, slices.of_rows if slices else None))


def _centres(values: Floats, bins: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], edges: tuple[float, ...]) -> tuple[float, ...]:
    """Return the mean of each bin's rows; where there are none, the edge towards the others."""
    if not edges:
        return (0.0,)
    at_edge = np.array([*edges, edges[-1]])
    sums = np.bincount(bins, weights=values, minlength=len(counts))
    return tuple(np.where(counts > 0, sums / np.maximum(counts, 1), at_edge).tolist())


def _categorical(name: str, column: Column, slices: Hours | None) -> _Draft:
    levels, type_changes = levels_of(column, are_codes=are_codes({level for level in column.tolist() if type(level) is str}))
    rows = Counter(level for level in levels if level is not None)
    ranked = sorted(rows, key=lambda level: (-rows[level], level))
    named, rare, forgotten = ranked[:_LEVELS], ranked[_LEVELS : _LEVELS + _RARE_LEVELS], ranked[_LEVELS + _RARE_LEVELS :]
    position = {level: code for code, level in enumerate(named)}
    codes = np.array([position.get(level, len(named)) if level is not None else -1 for level in levels], dtype=np.int64)
    feature = CategoricalBaseline(
        name=name,
        levels=tuple(named),
        counts=tuple(np.bincount(codes[codes >= 0], minlength=len(named) + 1).tolist()),
        rare_levels=tuple(rare),
        singletons=sum(rows[level] == 1 for level in [*named, *rare]) + sum(rows[level] for level in forgotten),
        doubletons=sum(rows[level] == 2 for level in ranked),
        missing=levels.count(None) - type_changes,
        type_changes=type_changes,
        slices=slices.counts(codes, codes >= 0, len(named) + 1) if slices else (),
    )
    return _Draft(feature, dependence.curves_of_levels(codes, codes >= 0, slices.of_rows if slices else None))


class BaselineLearner:
    """Collects the first rows of traffic until there are enough for a baseline."""

    def __init__(self, *, model: str, version: str = "", rows: int = 5_000) -> None:
        """`rows` is how many a baseline is learned from; more are in it if the last batch brings them."""
        self._model = model
        self._version = version
        self._wanted = rows
        self._batches: list[Columns] = []
        self._times_ns: list[Integers] = []
        self.rows = 0

    def add(self, columns: Columns, times_ns: Integers, created_at_ns: int) -> Baseline | None:
        """Take a batch and the times of its rows; return the baseline when there are rows enough. A column absent from a batch is missing in its rows."""
        if columns:
            self._batches.append(columns)
            self._times_ns.append(times_ns)
            self.rows += len(times_ns)
        if self.rows < self._wanted:
            return None
        return build_baseline(
            joined(self._batches),
            model=self._model,
            version=self._version,
            source=LEARNED,
            created_at_ns=created_at_ns,
            times_ns=np.concatenate(self._times_ns),
        )


def save_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline as JSON, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=1) + b"\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BaselineError(f"cannot write the baseline {path}: {error.strerror}; name a file in a directory that exists and can be written") from None


def load_baseline(path: Path, *, model: str = "") -> Baseline:
    """Read a baseline; where `model` is given, it must be of that model."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BaselineError(f"cannot read the baseline {path}: {error.strerror}; make one with: driftline baseline") from None
    baseline = _decode(content, path)
    if model and baseline.model != model:
        raise BaselineError(
            f"the baseline {path} is of the model {baseline.model!r}, not of {model!r}: give that model's own, or make one with: driftline baseline --model {model}"
        )
    return baseline


def _decode(content: bytes, path: Path) -> Baseline:
    advice = "make it again with: driftline baseline"
    try:
        found = msgspec.json.decode(content, type=_AnyFormat).format
        if found != FORMAT:
            raise BaselineError(f"{path} is a baseline of format {found}, and this version reads format {FORMAT}: {advice}")
        baseline = msgspec.json.decode(content, type=Baseline)
    except msgspec.MsgspecError as error:
        raise BaselineError(f"{path} is not a baseline: {error}; {advice}") from None
    fault = _fault(baseline)
    if fault:
        raise BaselineError(f"{path} is damaged: {fault}; {advice}")
    return baseline


class _AnyFormat(msgspec.Struct):
    format: int


def _fault(baseline: Baseline) -> str:
    """Return what contradicts itself in a baseline, or nothing."""
    names = [feature.name for feature in (*baseline.features, *baseline.vectors, *baseline.texts, *baseline.times)]
    if len(set(names)) < len(names):
        return "two features have one name"
    if not baseline.features:
        return "it has no features"
    faults = chain(
        ((feature.name, _feature_fault(feature, baseline.rows)) for feature in baseline.features),
        ((vector.name, _vector_fault(vector, baseline.rows)) for vector in baseline.vectors),
        ((text.name, "has a broken vocabulary" if len(text.vocabulary) % 4 else "") for text in baseline.texts),
    )
    return next((f"feature {name!r} {fault}" for name, fault in faults if fault), "")


def _vector_fault(vector: VectorBaseline, rows: int) -> str:
    if not 0 <= vector.rows <= rows:
        return f"counts {vector.rows} rows of {rows}"
    if not vector.bandwidth > 0 or vector.width < 1 or len(vector.centre) != 4 * vector.width or len(vector.components) % (2 * vector.width):
        return "has other numbers of values in its vectors"
    hours = len(vector.slice_rows)
    if len(vector.sums) != FEATURES or len(vector.spectrum) > FEATURES or len(vector.slice_means) != 4 * hours * FEATURES:
        return f"has other than {FEATURES} random features"
    return "has a memory of no rows, or one that takes noise away" if any(memory <= 0 or excess < 0 for memory, excess in vector.memories) else ""


def _feature_fault(feature: FeatureBaseline, rows: int) -> str:
    absent = feature.missing + feature.type_changes + (feature.non_finite if isinstance(feature, NumericBaseline) else 0)
    if min(feature.counts, default=-1) < 0 or sum(feature.counts) + absent != rows:
        return f"counts {sum(feature.counts) + absent} rows of {rows}"
    if any(memory <= 0 or excess < 0 for memory, excess in feature.memories):
        return "has a memory of no rows, or one that takes noise away"
    if feature.slices and [sum(each) for each in zip(*(of_hour.counts for of_hour in feature.slices), strict=False)] != list(feature.counts):
        return "has hours that do not add up"
    if isinstance(feature, CategoricalBaseline):
        return "" if len(feature.counts) == len(feature.levels) + 1 else "has other numbers of levels and counts"
    if not len(feature.counts) == len(feature.centres) == len(feature.edges) + 1:
        return "has other numbers of bins, centres and counts"
    return "" if all(low < high for low, high in pairwise(feature.edges)) else "has bin edges that do not increase"
