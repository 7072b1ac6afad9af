"""One rule as Prometheus reads it.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from records.alert import Severity

OF_ONE_PROCESS: Final = ("instance", "pod")
"""Labels that a scrape adds to tell one replica of a service from another. Rules sum over them, and keep all other labels of a scrape (`job`, `namespace` …)."""


def over_replicas(how: str, vector: str, *labels: str) -> str:
    """Return an aggregation of `vector` over replicas and over these labels of its own.

    >>> over_replicas("sum", "driftline_spool_bytes")
    'sum without (instance, pod) (driftline_spool_bytes)'
    """
    return f"{how} without ({', '.join((*OF_ONE_PROCESS, *labels))}) ({vector})"


def quoted(text: str) -> str:
    """Return a label's value as it stands between quotes (PromQL string literals)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def alternatives(values: list[str]) -> str:
    """Return a regular expression (RE2) that matches these values and nothing else, as it stands between quotes."""
    special = set(r"\.+*?()|[]{}^$")
    return "|".join(quoted("".join("\\" + letter if letter in special else letter for letter in value)) for value in values)


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A series that is computed ahead, so that alerts and dashboards need not."""

    record: str
    expr: str
    labels: dict[str, str] = {}

    def entry(self) -> dict[str, Any]:
        """Return it as the file has it."""
        return {"record": self.record, "expr": self.expr, **({"labels": self.labels} if self.labels else {})}


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, for every series that the expression returns. Texts are Prometheus's templates."""

    name: str
    """Subject and symptom; a heading in docs/runbooks/README.md."""
    expr: str
    severity: Severity | None = Severity.TICKET
    """None is for the watchdog, of which nobody is to be told."""
    summary: str
    """One line: what is wrong."""
    description: str
    """What it means, with the numbers."""
    dashboard: str
    """The path of the dashboard that shows it."""
    holds_for: str = "0s"
    keeps_firing_for: str = "0s"
    labels: dict[str, str] = {}

    def entry(self, runbook: str, grafana: str) -> dict[str, Any]:
        """Return it as the file has it, with links to the page of runbooks and to Grafana."""
        return {
            "alert": self.name,
            "expr": self.expr,
            **({"for": self.holds_for} if self.holds_for != "0s" else {}),
            **({"keep_firing_for": self.keeps_firing_for} if self.keeps_firing_for != "0s" else {}),
            "labels": {**self.labels, "severity": self.severity.value if self.severity else "none"},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{runbook}#{self.name.lower()}",
                "dashboard_url": f"{grafana.rstrip('/')}/d/{self.dashboard}",
            },
        }
