"""A changed model beside its original: what was measured, and whether that is within what the user allows."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from runtime.tools.predictions import Metric


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the two models costs."""

    size_bytes: int
    compressed_bytes: int
    """By DEFLATE, as registries and images transfer it."""
    load_seconds: float
    latency_seconds: dict[int, float]
    """Median time of a run, by its number of rows."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Both models on the same rows."""

    rows: int
    rows_from: str
    """Where the rows came from, in words."""
    original: Cost
    candidate: Cost
    largest_difference_ratio: dict[str, float]
    """By output of floats: largest difference, as a share of the original's largest magnitude."""
    agreement_ratio: float | None = None
    """The share of rows whose predicted class is the same; none where no class is predicted."""
    original_metric: Metric | None = None
    candidate_metric: Metric | None = None

    @property
    def slowdown_ratio(self) -> float:
        """The worst of the candidate's times by the original's: 2 is twice as slow, 0.5 twice as fast."""
        before, after = self.original.latency_seconds, self.candidate.latency_seconds
        return max(after[rows] / before[rows] for rows in before)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How far a candidate may be from its original; None is no limit."""

    agreement_ratio: float | None = None
    """At least this share of rows keeps its class."""
    difference_ratio: float | None = None
    """No output of floats differs by more, as a share of the original's largest magnitude."""
    metric_loss: float | None = None
    """The metric on labelled rows is worse by no more than this."""
    slowdown_ratio: float | None = None


def refusals(comparison: Comparison, limits: Limits) -> Iterator[str]:
    """Yield each reason why the candidate is not accepted, a sentence with the figure and the limit."""
    yield from _outputs_refused(comparison, limits)
    yield from _metric_refused(comparison, limits.metric_loss)
    slowdown = comparison.slowdown_ratio
    if limits.slowdown_ratio is not None and slowdown > limits.slowdown_ratio:
        yield f"it takes {slowdown:.2f} times the time of the original (at most {limits.slowdown_ratio:g}: --slowdown)"


def _outputs_refused(comparison: Comparison, limits: Limits) -> Iterator[str]:
    agreement = comparison.agreement_ratio
    if limits.agreement_ratio is not None and agreement is not None and agreement < limits.agreement_ratio:
        yield f"{agreement:.2%} of the rows keep their class (at least {limits.agreement_ratio:.2%}: --agreement)"
    for name, difference in comparison.largest_difference_ratio.items():
        if difference == float("inf"):
            yield f"the output {name!r} is not finite, or not of the same shape, where the original's is"
        elif limits.difference_ratio is not None and difference > limits.difference_ratio:
            yield f"the output {name!r} differs by {difference:.2g} of its largest magnitude (at most {limits.difference_ratio:g}: --difference)"


def _metric_refused(comparison: Comparison, limit: float | None) -> Iterator[str]:
    before, after = comparison.original_metric, comparison.candidate_metric
    if limit is not None and before and after and after.loss_against(before) > limit:
        yield f"its {after.name} is {after.value:.4g}, the original's {before.value:.4g} (worse by at most {limit:g}: --metric-loss)"
