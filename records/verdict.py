"""What the detectors say about a window."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class DriftState(StrEnum):
    """Whether the evidence stands past the budget with an effect worth a page."""

    LEARNING = "learning"  # no baseline yet
    OK = "ok"
    FIRING = "firing"


class VerdictKind(StrEnum):
    """What a verdict is about. Each kind counts windows of its own."""

    DATA_DRIFT = "data_drift"  # how features and outputs are distributed
    RISK = "risk"  # how wrong predictions are, by their labels
    SHADOW = "shadow"  # how often a shadow's answers differ from the served ones


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One statistic of one feature in one window."""

    __test__ = False  # not a test class of pytest's

    statistic: float
    p_value: float
    effect: float
    """In the units of the statistic's effect floor."""


class FeatureVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One feature in one window."""

    feature: str
    tests: dict[str, TestResult]
    """By the statistic's name, for example `ks`, `chi_squared`, `missing_rate` (`detectors.univariate` has them all); of risk `error_rate` or `absolute_error`; of a shadow `disagreement`."""
    log_evidence: float
    """Natural logarithm of this feature's e-detector M."""
    share: float
    """This feature's part of the model's evidence, in orders of magnitude, 0 to 1; 0 while its own is worth no mention."""
    effect_above_floor: bool
    summary: str
    """Baseline against now in words, for example `mean 14.1 → 16.3 (+0.61 sd)`."""


class Problem(StrEnum):
    """What a finding is about."""

    FEW_ROWS = "few_rows"  # too few to test anything
    OTHER_SCHEMA = "other_schema"  # none of the baseline's features is in the traffic
    UNKNOWN = "unknown"  # features that the baseline does not know
    NOT_SENT = "not_sent"  # a feature that is in no row
    MISSING = "missing"
    NON_FINITE = "non_finite"
    OTHER_TYPE = "other_type"
    OUT_OF_RANGE = "out_of_range"
    UNSEEN = "unseen"  # levels that the baseline never saw
    DUPLICATES = "duplicates"  # rows that equal an earlier one
    STALE = "stale"  # one value in all rows
    OTHER_DIMENSION = "other_dimension"  # vectors of another number of values
    # of a baseline
    NO_BASELINE = "no_baseline"  # no value to compare with
    CONSTANT = "constant"
    ALL_DIFFERENT = "all_different"


OF_BASELINES: Final = frozenset({Problem.NO_BASELINE, Problem.CONSTANT, Problem.ALL_DIFFERENT})


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong with data."""

    feature: str = ""
    """Empty where it is about the whole model."""
    problem: Problem
    rows: int
    """That have it."""
    text: str
    """What, where, and what to do."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one model. `state` after the window; `alert` and `resolved` are true in the window of the change."""

    kind: VerdictKind = VerdictKind.DATA_DRIFT
    model: str
    version: str
    baseline_id: str
    compared_with: str = ""
    """Which baseline that is, in words: from where, of how many rows, made when; and where it has a cycle, which hour of it."""
    shadow: str = ""
    """The arm whose answers it is about; empty for other kinds."""
    index: int
    opened_at_ns: int
    closed_at_ns: int
    rows: int
    state: DriftState
    alert: bool = False
    resolved: bool = False
    evidence: float
    """The model's e-detector: the average of M over features, capped at 1e15 so that it stays printable."""
    threshold: float
    """The evidence at which the budget allows an alert: windows between false alarms."""
    features: tuple[FeatureVerdict, ...]
    """Every feature, the largest share of the evidence first."""
    quality: tuple[Finding, ...] = ()
    """What is wrong with the window's data; it alerts nobody by itself."""

    @property
    def carriers(self) -> tuple[str, ...]:
        """The features, heaviest first, that carry more than 1 % of the evidence and show an effect."""
        return tuple(feature.feature for feature in self.features if feature.share > 0.01 and feature.effect_above_floor)
