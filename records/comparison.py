"""What a shadow answered beside what was served, over a window of pairs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class PairOutcome(StrEnum):
    """What became of a pair: the served reply to one request and a shadow's. Only the first three are compared."""

    AGREED = "agreed"  # both say the same
    DIFFERED = "differed"  # they do not
    ONE_FAILED = "one_failed"  # one of them has an error status, the other has not: they differ
    BOTH_FAILED = "both_failed"  # both have an error status
    NO_ANSWER = "no_answer"  # one of them was cut short, came too late, or never came
    OTHER_SCHEMA = "other_schema"  # no output of the same name and shape
    UNREADABLE = "unreadable"  # no outputs could be read of one of them


COMPARED: Final = (PairOutcome.AGREED, PairOutcome.DIFFERED, PairOutcome.ONE_FAILED)
COMPARED_PATTERN: Final = "|".join(COMPARED)
"""As a regular expression, for Prometheus."""


class ClassPair(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for which the served model said one class and the shadow another, or the same."""

    output: str
    served: str
    shadow: str
    rows: int


class ScoreDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the replies, over all rows where both have it."""

    output: str
    """Its name; with the place in brackets where there are several per row."""
    rows: int
    served_mean: float
    shadow_mean: float
    wasserstein: float
    """Wasserstein-1 of both distributions, in the output's unit."""
    quantiles: tuple[float, ...]
    """Of shadow − served: 1, 25, 50, 75 and 99 %."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of whole exchanges, in seconds."""

    p50: float
    p99: float


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that differs, to look at."""

    exchange_id: str
    """Canonical UUID, the same for both replies."""
    difference: float
    """The largest between two scores; 0 where classes alone differ."""
    text: str
    """Both answers in a few words."""


class ShadowComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A window of pairs of one model's served replies and one shadow's."""

    model: str
    version: str
    """That was served last."""
    shadow: str
    """The arm's name."""
    index: int
    opened_at_ns: int
    closed_at_ns: int
    outcomes: dict[PairOutcome, int]
    """Pairs; an outcome without one is left out."""
    served_failed: int = 0
    """Pairs whose served reply has an error status or none."""
    shadow_failed: int = 0
    served_seconds: Latency | None = None
    """Of the compared pairs; None where there is none."""
    shadow_seconds: Latency | None = None
    classes: tuple[ClassPair, ...] = ()
    """The differing ones first, then by rows; at most some dozens."""
    scores: tuple[ScoreDifference, ...] = ()
    """The most different ones first, measured by their spread; at most some dozens."""
    disagreements: tuple[Disagreement, ...] = ()
    """The largest ones."""

    @property
    def compared(self) -> int:
        """Pairs that were compared."""
        return sum(self.outcomes.get(outcome, 0) for outcome in COMPARED)

    @property
    def agreed(self) -> int:
        """Pairs that agreed."""
        return self.outcomes.get(PairOutcome.AGREED, 0)
