"""Why a verdict is what it is: a picture in numbers for each feature that carries evidence."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from records.verdict import DriftState, Finding, TestResult


class Numbers(msgspec.Struct, frozen=True, tag="numbers", kw_only=True):
    """Values of a numeric feature from `low` on, below `high`; None is without an end."""

    low: float | None
    high: float | None
    value: float | None = None
    """The only one that the baseline has there, where it has few."""


class Level(msgspec.Struct, frozen=True, tag="level"):
    """One level of a categorical feature."""

    name: str


class OtherLevels(msgspec.Struct, frozen=True, tag="other_levels"):
    """Those that have no cell of their own."""


class UnseenLevels(msgspec.Struct, frozen=True, tag="unseen_levels"):
    """Those that the baseline never saw."""

    names: tuple[str, ...]
    """The heaviest of them."""


class Missing(msgspec.Struct, frozen=True, tag="missing"):
    """No usable value."""


Place: TypeAlias = Numbers | Level | OtherLevels | UnseenLevels | Missing
"""Where values of a feature lie."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A place, with the share of all rows that lie there."""

    place: Place
    before: float
    """As the baseline lets expect at the window's time."""
    now: float


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """Where a window has more rows than its baseline lets expect, most beyond chance, and exchanges from there."""

    place: Place
    before: float
    now: float
    exchange_ids: tuple[str, ...] = ()
    """Canonical UUIDs, some of many; none where the store has no features of the window's rows any more."""


class PairChange(msgspec.Struct, frozen=True, kw_only=True):
    """Two features and how far they go together: correlations of their normal scores, −1 to 1."""

    features: tuple[str, str]
    before: float
    now: float


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What one window showed."""

    opened_at_ns: int
    effect: float


class ScoreChange(msgspec.Struct, frozen=True, kw_only=True):
    """A number among all of them: how far its mean and its spread moved, in standard deviations (of its normal scores)."""

    feature: str
    location: float
    scale: float


class FeatureExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of a window."""

    feature: str
    share: float
    """Of the model's evidence, 0 to 1."""
    since_at_ns: int
    """The opening of the first of the windows in a row that show its effect; 0 where it shows none."""
    summary: str
    """Baseline against now in words."""
    tests: dict[str, TestResult]
    """What gives evidence, by name."""
    effects: dict[str, float] = {}
    """How large the change is by measures that people know: by name, without the part that noise makes."""
    cells: tuple[Cell, ...] = ()
    """The whole picture, in order; the shares add up to 1. None for what has no values of its own, such as correlations."""
    pairs: tuple[PairChange, ...] = ()
    """Of correlations, those that changed most, in that order; a bounded number."""
    course: tuple[Moment, ...] = ()
    """The effect window by window, the explained one last, of what has neither cells nor pairs, such as vectors; a bounded number."""
    scores: tuple[ScoreChange, ...] = ()
    """Of all numbers together, those that changed most, in that order; a bounded number."""
    smallest: float | None = None
    largest: float | None = None
    """Of all numbers of baseline and window; None where there are none."""
    gain: Gain | None = None


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """What labels say of the predictions of some time."""

    rows: int
    """Predictions with a label."""
    correct_ratio: float
    mean_absolute_error: float | None
    """None where labels or predictions are no numbers."""


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """What labels say of the predictions before and since a change."""

    before: Quality
    since: Quality
    words: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one model."""

    model: str
    version: str
    baseline_id: str
    compared_with: str
    """Which baseline that is, in words: from where, made when; and where it has a cycle, which hour of it."""
    index: int
    opened_at_ns: int
    closed_at_ns: int
    rows: int
    state: DriftState
    evidence: float
    threshold: float
    since_at_ns: int
    """The opening of the first window that shows an effect of a feature that carries evidence; 0 where there is none."""
    windows_since: int
    """Windows from then on, this one included."""
    rows_since: int
    features: tuple[FeatureExplanation, ...]
    """Those that carry the evidence, heaviest first; where none does, those with the largest shares. A bounded number."""
    features_left_out: int
    quality: tuple[Finding, ...] = ()
    """What is wrong with the window's data."""
    performance: Performance | None = None
    """None where there are too few labels to say anything."""
