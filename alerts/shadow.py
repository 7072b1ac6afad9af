"""Verdicts on shadows' answers to observations of `ShadowDiverging`."""

from __future__ import annotations

from alerts.catalogue import AlertKind
from alerts.drift import subject
from alerts.observation import Clear, Holds, Observation
from records.times import format_time
from records.verdict import DriftState, Verdict

_KIND = AlertKind.SHADOW_DIVERGING


def observe_shadow(verdict: Verdict) -> Observation:
    """Return whether the evidence about a shadow is past its budget, and how its answers differ."""
    labels = {"model": verdict.model, "version": verdict.version, "shadow": verdict.shadow}
    if verdict.state is not DriftState.FIRING:
        return Clear(kind=_KIND, labels=labels)
    name = subject(verdict)
    return Holds(
        kind=_KIND,
        labels=labels,
        started_at_ns=verdict.opened_at_ns,
        summary=_KIND.value.summary.format(subject=name, shadow=verdict.shadow),
        description=(
            f"Answers of the shadow {verdict.shadow} differ from those of {name}: {verdict.features[0].summary}.\n"
            f"Evidence {verdict.evidence:,.0f}, budget asks {verdict.threshold:,.0f}; {verdict.rows:,} pairs in the window that closed {format_time(verdict.closed_at_ns)}."
        ),
    )
