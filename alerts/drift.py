"""Verdicts on windows to observations of `ModelDataDrift` and `ModelPerformanceDrop`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias
from urllib.parse import quote, urlencode

from alerts.catalogue import AlertKind
from alerts.observation import Clear, Holds, Observation
from records.alert import Alert
from records.times import format_time
from records.verdict import DriftState, FeatureVerdict, Verdict, VerdictKind

_FINDINGS: Final = {
    AlertKind.MODEL_DATA_DRIFT: "The data of {subject} differ from {against} since {since}.",
    AlertKind.MODEL_PERFORMANCE_DROP: "By their labels, predictions of {subject} are worse than in {against} since {since}.",
}
_NAMES_AT_MOST: Final = 3
_LINES_AT_MOST: Final = 10

Onsets: TypeAlias = dict[str, dict[str, int]]
"""By model and feature: the opening (Unix nanoseconds) of the first of the windows in a row, up to the latest, that show an effect."""


class DriftWatch:
    """Observes verdicts of one kind, in the order of each model's windows, and remembers since when each feature has shown an effect."""

    def __init__(self, onsets: Onsets, kind: AlertKind = AlertKind.MODEL_DATA_DRIFT) -> None:
        self._kind = kind
        self._onsets = dict(onsets)

    @property
    def onsets(self) -> Onsets:
        """What must survive a restart."""
        return dict(self._onsets)

    def observe(self, verdict: Verdict) -> Observation:
        """Return whether the evidence about the model is past its budget, and what it looks like."""
        onsets = self._follow(verdict)
        labels = {"model": verdict.model, "version": verdict.version}
        if verdict.state is not DriftState.FIRING:
            return Clear(kind=self._kind, labels=labels)
        model = f"/api/v1/models/{quote(verdict.model, safe='')}"
        links = _links(verdict, f"{model}/windows/{verdict.index}") if verdict.kind is VerdictKind.DATA_DRIFT else {}
        started_at_ns = min((onsets[name] for name in verdict.carriers), default=verdict.opened_at_ns)
        return Holds(
            kind=self._kind,
            labels=labels,
            started_at_ns=started_at_ns,
            summary=self._kind.value.summary.format(subject=subject(verdict), features=_names(verdict.carriers)),
            description=_description(_FINDINGS[self._kind], verdict, started_at_ns),
            features=verdict.carriers,
            path=model,
            **links,
        )

    def forget(self, model: str) -> Observation:
        """Return that a model does not drift: what it drifted from is its baseline no more."""
        self._onsets.pop(model, None)
        return Clear(kind=self._kind, labels={"model": model})

    def _follow(self, verdict: Verdict) -> dict[str, int]:
        before = self._onsets.pop(verdict.model, {})
        now = {feature.feature: before.get(feature.feature, verdict.opened_at_ns) for feature in verdict.features if feature.effect_above_floor}
        if now:
            self._onsets[verdict.model] = now
        return now


def _links(verdict: Verdict, window: str) -> dict[str, str]:
    """Return where the console explains a window, and draws what carries most of the evidence."""
    against = urlencode({"baseline": verdict.baseline_id})
    return {"report_path": f"{window}/report?{against}", "picture_path": f"{window}/picture?{against}" if verdict.carriers else ""}


def is_drift_of(alert: Alert, model: str) -> bool:
    """Return whether an alert tells of this model's drift."""
    return alert.name == AlertKind.MODEL_DATA_DRIFT.value.name and alert.labels.get("model") == model


def subject(verdict: Verdict) -> str:
    """Return the model that a verdict is about, with its version."""
    return f"{verdict.model} (version {verdict.version})" if verdict.version else verdict.model


def _names(features: Sequence[str]) -> str:
    shown = ", ".join(features[:_NAMES_AT_MOST]) or "no single feature"
    more = len(features) - _NAMES_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def _description(finding: str, verdict: Verdict, started_at_ns: int) -> str:
    carriers = [feature for feature in verdict.features if feature.feature in verdict.carriers]
    against = verdict.compared_with or f"baseline {verdict.baseline_id}"
    lines = [
        finding.format(subject=subject(verdict), against=against, since=format_time(started_at_ns)),
        f"Evidence {verdict.evidence:,.0f}, budget asks {verdict.threshold:,.0f}; {verdict.rows:,} rows in the window that closed {format_time(verdict.closed_at_ns)}.",
        *map(_line, carriers[:_LINES_AT_MOST]),
    ]
    more = len(carriers) - _LINES_AT_MOST
    return "\n".join([*lines, f"and {more} more features"] if more > 0 else lines)


def _line(feature: FeatureVerdict) -> str:
    return f"{feature.feature}: {feature.summary}, {feature.share:.0%} of the evidence"
