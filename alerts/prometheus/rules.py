"""The rules as a file that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import yaml

from alerts.catalogue import AlertKind
from alerts.prometheus import slo, symptoms
from alerts.prometheus.rule import AlertRule, Recording
from alerts.prometheus.subject import about_a_route
from config.settings import Settings

_HEAD: Final = """\
# Made by `driftline alerts rules`: change the settings and make it again.
# For Prometheus 2.42 or newer: rule_files: [driftline.rules.yaml]; scrape and evaluate every 15 s or more often.
"""


def rules_file(settings: Settings) -> str:
    """Return the file of rules that the settings ask for, in YAML."""
    groups = [
        _group("driftline-slo-recordings", slo.recordings(settings), settings),
        *(_group(f"driftline-{name}", alerts, settings) for name, alerts in alert_groups(settings).items()),
    ]
    return _HEAD + yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def alert_groups(settings: Settings) -> dict[str, list[AlertRule]]:
    """Return every alert, by what it is about."""
    groups: dict[str, list[AlertRule]] = {
        "slo": list(slo.alerts(lambda expr: about_a_route(expr, settings))),
        "serving": list(symptoms.serving(settings)),
        "models": list(symptoms.watching_models(settings)),
        "shadows": list(symptoms.shadows(settings)),
        "records": list(symptoms.keeping_records()),
        "ourselves": list(symptoms.ourselves()),
    }
    if settings.alerts.alertmanagers:  # the monitor hands its own alerts to them: nobody is to be told twice
        own = {kind.value.name for kind in AlertKind}
        groups = {name: [rule for rule in rules if rule.name not in own] for name, rules in groups.items()}
    return groups


def _group(name: str, rules: Iterable[AlertRule | Recording], settings: Settings) -> dict[str, Any]:
    entries = [rule.entry() if isinstance(rule, Recording) else rule.entry(settings.alerts.runbook_base, settings.alerts.grafana) for rule in rules]
    return {"name": name, "rules": entries}


class _Dumper(yaml.SafeDumper):
    """Writes long texts as they are read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
