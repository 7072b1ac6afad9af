"""What a run found: the checks that decide the exit code, the JSON file, and the story in five lines."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any, Final, NamedTuple

from alerts.catalogue import AlertKind
from config.settings import DriftSettings
from driftline.demo.measurements import DRIFTED, SCALE
from driftline.demo.plan import Plan
from driftline.demo.processes import driftline_as_typed
from driftline.demo.traffic import Latency
from driftline.demo.watch import StoredRows, Window
from driftline.demo.webhook import Received
from driftline.demo.workspace import DATA
from records.status import AgreementStatus, Counts

DRIFT_ALERT: Final = AlertKind.MODEL_DATA_DRIFT.value.name
SHADOW_ALERT: Final = AlertKind.SHADOW_DIVERGING.value.name
_SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Check(NamedTuple):
    """One thing that must hold, and what was found."""

    claim: str
    holds: bool
    found: str


class Result(NamedTuple):
    """Everything that a run measured, in the words of whoever measured it."""

    plan: Plan
    sent: int
    failed: int
    failures: tuple[str, ...]
    """The last few failed requests, a line each."""
    latency_added: Latency | None
    began_at_seconds: float
    drift_began_at_seconds: float
    counts: Counts
    """As the admin API gave them when everything was stored."""
    stored: StoredRows
    """As `driftline sql` counted them when everything had stopped."""
    challenger_answered: int
    """Rows that the challenger itself has answered."""
    agreement: AgreementStatus | None
    windows: tuple[Window, ...]
    alerts: tuple[Received, ...]
    exit_code: int
    """Of `driftline up` after SIGTERM."""
    directory: Path

    @property
    def drift_alert(self) -> Received | None:
        """The first alert about drift that came after the drift began."""
        return next((alert for alert in self.alerts if alert.name == DRIFT_ALERT and self._is_true(alert)), None)

    @property
    def shadow_alert(self) -> Received | None:
        """The alert that the challenger answers otherwise."""
        return next((alert for alert in self.alerts if alert.name == SHADOW_ALERT), None)

    @property
    def false_alerts(self) -> int:
        """Alerts about anything else, or before the drift began."""
        return sum(not self._is_true(alert) for alert in self.alerts)

    @property
    def alert_delay_seconds(self) -> float | None:
        """From the first drifted request until the webhook was told."""
        return self.drift_alert.at_seconds - self.drift_began_at_seconds if self.drift_alert else None

    @property
    def alert_window(self) -> Window | None:
        """The window whose evidence passed the budget."""
        return next((window for window in self.windows if window.alert and window.index >= self.first_drifted_window), None)

    @property
    def first_drifted_window(self) -> int:
        """The index of the window in which the drift began."""
        return self.plan.drift_at // self.plan.window_rows

    def _is_true(self, alert: Received) -> bool:
        """The challenger is another kind of model, and does answer otherwise at times."""
        return alert.name == SHADOW_ALERT or (alert.name == DRIFT_ALERT and alert.at_seconds >= self.drift_began_at_seconds)


def checks(result: Result) -> list[Check]:
    """Return what must hold for the run to have shown what it claims to show."""
    counts, stored, alert = result.counts, result.stored, result.drift_alert
    captured = result.sent + result.challenger_answered
    features = alert.features if alert else ()
    return [
        Check("every request was answered as the service answers it", result.failed == 0, "; ".join([f"{result.failed} failed", *result.failures])),
        Check("captured = stored + dropped + pending", counts.conserved, counts.identity),
        Check("captured is what the clients sent and the challenger answered", counts.captured == captured, f"{counts.captured} captured, {captured} counted"),
        Check("nothing was dropped or is pending", counts.stored == counts.captured, counts.identity),
        Check(
            "the store holds each request of the clients once",
            stored.served == stored.served_requests == result.sent,
            f"{stored.served} rows of {stored.served_requests} requests, {result.sent} sent",
        ),
        Check(
            "the store holds each answer of the challenger once",
            stored.shadow == result.challenger_answered,
            f"{stored.shadow} rows, {result.challenger_answered} answered",
        ),
        Check("the challenger's answers were compared", bool(result.agreement and result.agreement.compared), "none was"),
        Check("no alert was false", result.false_alerts == 0, "; ".join(f"{alert.name}: {alert.summary}" for alert in result.alerts)),
        Check("the challenger was said to differ", result.shadow_alert is not None, f"no {SHADOW_ALERT} reached the webhook"),
        Check("the drift was found", alert is not None, f"no {DRIFT_ALERT} reached the webhook"),
        Check(
            "the alert names what drifted and nothing else",
            sorted(features) == sorted(DRIFTED),
            f"expected {', '.join(DRIFTED)}; named {', '.join(features) or 'nothing'}",
        ),
        Check("driftline up ended with exit code 0", result.exit_code == 0, f"exit code {result.exit_code}"),
    ]


def document(result: Result) -> dict[str, Any]:
    """Return the content of the JSON file."""
    alert, agreement, latency = result.drift_alert, result.agreement, result.latency_added
    return {
        "requests": result.sent,
        "failed": result.failed,
        "captured": result.counts.captured,
        "stored": result.counts.stored,
        "dropped": result.counts.dropped_total,
        "pending": result.counts.pending,
        "false_alerts": result.false_alerts,
        "alert_delay_seconds": result.alert_delay_seconds,
        "alert_features": list(alert.features) if alert else [],
        "shadow": {
            "compared": agreement.compared if agreement else 0,
            "agreement_ratio": agreement.agreement_ratio if agreement else None,
        },
        "latency_added_ms": {"p50": latency.p50_ms if latency else None, "p99": latency.p99_ms if latency else None},
    }


def story(result: Result) -> list[tuple[str, str]]:
    """Return the five lines that a reader should take away, each with its heading."""
    return [
        ("What drifted", _what_drifted(result)),
        ("When found", _when_found(result)),
        ("What was alerted", _what_was_alerted(result)),
        ("False alarms", _false_alarms(result)),
        ("Where to look", where_to_look(result.directory)),
    ]


def identity(counts: Counts) -> str:
    """Return the counted promise in numbers."""
    sign = "=" if counts.conserved else "≠"
    return f"{counts.captured:,} {sign} {counts.stored:,} stored + {counts.dropped_total:,} dropped + {counts.pending:,} pending"


def readable(evidence: float) -> str:
    """Return evidence as people read it: its magnitude counts.

    >>> readable(1.23), readable(12_345.6), readable(8.46e14)
    ('1.2', '12,346', 'over 10¹⁴')
    """
    if evidence >= 1e6:
        return f"over 10{str(math.floor(math.log10(evidence))).translate(_SUPERSCRIPTS)}"
    return f"{evidence:,.0f}" if evidence >= 10 else f"{evidence:.1f}"


def where_to_look(directory: Path) -> str:
    """Return a command that shows what was kept, to be run after the demo."""
    return shlex.join([driftline_as_typed(), "sql", "--data-dir", str(directory / DATA), "--format", "Vertical", "SELECT * FROM alerts"])


def _what_drifted(result: Result) -> str:
    after_seconds = result.drift_began_at_seconds - result.began_at_seconds
    return f"After {after_seconds:.0f} s an instrument began to read {' and '.join(DRIFTED)} {SCALE - 1:.0%} too high; nothing else changed."


def _when_found(result: Result) -> str:
    if result.alert_delay_seconds is None:
        return "It was not found."
    window = result.alert_window
    if window is None:
        return f"{result.alert_delay_seconds:.1f} s later."
    return (
        f"{result.alert_delay_seconds:.1f} s later, in the {_ordinal(window.index - result.first_drifted_window + 1)} drifted window ({window.rows:,} rows a window): "
        f"evidence {readable(window.evidence)}, and the budget of {DriftSettings().budget} asks for {readable(window.threshold)}."
    )


def _what_was_alerted(result: Result) -> str:
    drift, shadow = result.drift_alert, result.shadow_alert
    alerted = [f"{drift.name}, naming {' and '.join(drift.features) or 'no measurement'}"] if drift else []
    alerted += [f"{shadow.name}, a ticket: the challenger is another kind of model"] if shadow else []
    return f"{'; '.join(alerted)}; to the webhook." if alerted else "Nothing."


def _false_alarms(result: Result) -> str:
    return f"{result.false_alerts or 'None'}, in {result.first_drifted_window} windows of unchanged traffic before the drift."


def _ordinal(number: int) -> str:
    return f"{number}{('th', 'st', 'nd', 'rd')[number] if number < 4 else 'th'}"
