"""What a model's traffic is compared with: frozen, versioned, and the same on every replica."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec


class Slice(msgspec.Struct, frozen=True, array_like=True):
    """One feature in one hour of the baseline's cycle."""

    counts: tuple[int, ...]
    """Rows in each bin or level, as in the whole baseline."""
    absent: int
    """Rows without a usable value."""


class NumericBaseline(msgspec.Struct, frozen=True, tag="numeric", kw_only=True):
    """A numeric feature as it was when it was trusted."""

    name: str
    edges: tuple[float, ...]
    """B−1 increasing inner edges of the B bins, cut at quantiles: bin i holds edges[i−1] <= x < edges[i]."""
    counts: tuple[int, ...]
    """Rows of the baseline in each of the B bins."""
    centres: tuple[float, ...]
    """Mean of the baseline's rows in each of the B bins, so that distances between bins are those between their rows."""
    missing: int = 0
    """Rows without a value (null or NaN)."""
    non_finite: int = 0
    """Rows whose value is infinite, or too large to square."""
    type_changes: int = 0
    """Rows whose value is text."""
    mean: float = 0.0
    standard_deviation: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0
    memories: tuple[tuple[float, float], ...] = ()
    """How alike neighbouring rows are: of each component its memory in rows, and what it adds to the variance of long means (`detectors.dependence`)."""
    slices: tuple[Slice, ...] = ()
    """By hour of the cycle, where the baseline has one."""


class CategoricalBaseline(msgspec.Struct, frozen=True, tag="categorical", kw_only=True):
    """A feature with levels, as it was when it was trusted."""

    name: str
    levels: tuple[str, ...]
    """The most frequent levels, as text, in falling order of frequency."""
    counts: tuple[int, ...]
    """Rows of each level, then of all other levels together: one entry more than `levels`."""
    rare_levels: tuple[str, ...] = ()
    """Further levels that were seen, not counted one by one; a level that is in neither list is unseen."""
    singletons: int = 0
    """Levels seen exactly once: the Good–Turing estimate of the chance of a level never seen. Rows of levels that
    found no place in the lists count with them."""
    doubletons: int = 0
    """Levels seen exactly twice: with the singletons, how sure that estimate is."""
    missing: int = 0
    type_changes: int = 0
    """Rows whose value is a number, and no code of a level."""
    memories: tuple[tuple[float, float], ...] = ()
    slices: tuple[Slice, ...] = ()


class VectorBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """A feature whose value is a vector, an embedding or an image, as it was when it was trusted (`detectors.vectors`). Arrays are little-endian, in base64."""

    name: str
    width: int
    """Values in each vector, after folding."""
    dimension: int = 0
    """Values in each vector as it came; 0 where nothing says."""
    rows: int
    """Rows with a vector."""
    bandwidth: float
    """Of the Gaussian kernel: the median distance between two vectors."""
    centre: bytes
    """float32, `width`: the mean vector."""
    components: bytes = b""
    """int16 in units of 2⁻¹⁴, components × `width`: orthonormal directions in which vectors vary most."""
    usual_norm: float
    """The median length of a vector."""
    has_class: bool = False
    """Whether nearly all vectors are probabilities, so that the largest entry is the class that the model says."""
    sums: tuple[int, ...]
    """Of each random feature over the rows, as in a window."""
    spectrum: tuple[float, ...]
    """Eigenvalues of the covariance of one row's random features, the largest first."""
    spread_error: float = 0.0
    """The standard deviation of a row's squared distance from the mean, in units of the sum of the spectrum."""
    memories: tuple[tuple[float, float], ...] = ()
    slice_rows: tuple[int, ...] = ()
    """Rows with a vector in each hour of the cycle, where the baseline has one."""
    slice_means: bytes = b""
    """float32, hours × random features."""


class TextBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """Free text as it was when it was trusted (`detectors.texts`)."""

    name: str
    vocabulary: bytes
    """uint32, little-endian, in base64: the CRC-32 of each of the most frequent words, in order."""
    has_length: bool = True
    """Whether its length is watched; not so where it comes with one."""


class TimeBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """Timestamps as they were when they were trusted (`detectors.timestamps`)."""

    name: str
    has_age: bool
    """Whether their age when the model was asked is watched."""
    has_hour: bool
    """Whether the hour of the day is."""


class MeanNoise(msgspec.Struct, frozen=True, kw_only=True):
    """How noisy the mean of several numbers of each row is (`detectors.mean_distance`)."""

    spectrum: tuple[float, ...]
    """Eigenvalues of the covariance of one row's numbers, the largest first."""
    spread_error: float
    """The standard deviation of one row's squared distance from the mean, in units of the sum of the spectrum."""
    largest: float
    """The largest part of one row along the direction that varies most."""


class JointBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of a row at once, as they were when they were trusted (`detectors.joint`)."""

    features: tuple[str, ...]
    location: MeanNoise
    """Of the normal scores of the features."""
    scale: MeanNoise
    """Of their squares."""
    memories: tuple[tuple[float, float], ...] = ()


class PairBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What went with what when the traffic was trusted."""

    features: tuple[str, ...]
    """The numeric features among which pairs are watched."""
    correlations: tuple[float, ...]
    """Of the normal scores of each pair: (0, 1), (0, 2), …, (1, 2), …"""
    noise: tuple[float, ...]
    """Quantiles, in order, of the largest deviation of a correlation, times the root of the rows."""
    variance: float
    """Of one row's part in the correlation that is noisiest."""
    together: MeanNoise | None = None
    """Of all correlations at once; None where a former version made it."""


class Loss(StrEnum):
    """How wrong a prediction was, by its label: the name of the test in verdicts on risk."""

    ERROR_RATE = "error_rate"  # classes: 0 where both say the same, else 1
    ABSOLUTE_ERROR = "absolute_error"  # numbers: their distance in units of the bound, 1 at most


class RiskBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """A model's risk, the mean loss of its predictions, as it was when it was trusted."""

    baseline_id: str
    """The first 16 hexadecimal digits of the SHA-256 of the losses: equal content, equal id."""
    source: str
    """Where the labelled rows came from: a file's name, `labels`, or `store`."""
    created_at_ns: int
    loss: Loss
    bound: float = 1.0
    """Of numbers, the distance that counts as a loss of 1, as larger ones do."""
    rows: int
    risk: float
    """Mean loss of the rows, 0 to 1."""
    upper: float
    """What the risk of the traffic behind these rows is not above, with high probability (`detectors.betting`)."""
    memories: tuple[tuple[float, float], ...] = ()
    """How alike the losses of neighbouring rows are, as in `NumericBaseline`."""


class DuplicateBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows equalled an earlier one (`detectors.duplicates`)."""

    lengths: tuple[int, ...]
    """Of stretches, in rows; the last one is that of the whole baseline."""
    shares: tuple[float, ...]
    """Of the rows of such a stretch that equal an earlier one of it, on average."""
    noise: float
    """How many times noisier their number is than a binomial, 1 or more."""


FeatureBaseline: TypeAlias = NumericBaseline | CategoricalBaseline


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """All features of one model, inputs and outputs. Written as JSON by `driftline baseline`."""

    format: int = 2
    baseline_id: str
    """The first 16 hexadecimal digits of the SHA-256 of the features: equal content, equal id."""
    model: str
    version: str = ""
    source: str
    """Where the rows came from: a file's name, `traffic`, or a period of the store."""
    rows: int
    created_at_ns: int
    cycle_seconds: int = 0
    """How long what repeats in it takes, a day or a week; 0 where nothing does."""
    features: tuple[FeatureBaseline, ...]
    pairs: PairBaseline | None = None
    """None where there are not two numeric features, or too few rows."""
    risk: RiskBaseline | None = None
    """None where no labels of the rows were given; it is then learned from the first labels."""
    joint: JointBaseline | None = None
    """None where there are not two numeric features, or a former version made it."""
    vectors: tuple[VectorBaseline, ...] = ()
    texts: tuple[TextBaseline, ...] = ()
    times: tuple[TimeBaseline, ...] = ()
    hashed: tuple[str, ...] = ()
    """The features with so many levels that they are watched by hash too."""
    duplicates: DuplicateBaseline | None = None
    """None where a former version made it, or features were taken out since."""
