"""Every alert, once. Each has a heading of the same name in docs/runbooks/README.md."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from records.alert import Severity


class AlertSpec(NamedTuple):
    """What is fixed about an alert."""

    name: str
    """Subject and symptom."""
    severity: Severity
    summary: str
    """One line, with fields in braces that the observation fills in."""
    identity: tuple[str, ...] = ()
    """The labels that tell one alert of this name from another. Other labels stay as they were when it began."""
    pending_seconds: float = 0.0
    """How long the condition must have held before anyone is told."""


class AlertKind(Enum):
    """The member is what code names; its value is what people see."""

    MODEL_DATA_DRIFT = AlertSpec("ModelDataDrift", Severity.PAGE, "{subject}: data drift in {features}", identity=("model",))
    MODEL_PERFORMANCE_DROP = AlertSpec("ModelPerformanceDrop", Severity.PAGE, "{subject}: predictions are worse by their labels", identity=("model",))
    # Serving goes on in these cases, hence no page.
    SHADOW_DIVERGING = AlertSpec(
        "ShadowDiverging", Severity.TICKET, "{subject}: shadow {shadow} answers otherwise than what is served", identity=("model", "shadow")
    )
    EXCHANGES_DROPPED = AlertSpec("ExchangesDropped", Severity.TICKET, "{lost} exchange records lost: {reasons}")
    STORE_UNREACHABLE = AlertSpec("StoreUnreachable", Severity.TICKET, "ClickHouse ({kind}) takes no records", pending_seconds=300)

    @classmethod
    def named(cls, name: str) -> AlertKind | None:
        """Return the kind of an alert's name; None for a name that this version does not know."""
        return next((kind for kind in cls if kind.value.name == name), None)
