"""Who is told of which alert, as Alertmanager's configuration.

https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from alerts.prometheus.rule import quoted
from config.addresses import Endpoint
from config.hours import DAYS, Hours
from config.settings import MailSettings, ReceiverSettings, Settings
from records.alert import Severity

_HEAD: Final = """\
# Made by `driftline alerts routes`: change the settings and make it again.
# For Alertmanager 0.25 or newer. Keys and passwords are read from the files that are named here, on Alertmanager's machine.
"""

_NOBODY: Final = "nobody"
_WATCHDOG: Final = "watchdog"
_HOURS: Final = "ticket-hours"
_DAY_NAMES: Final = dict(zip(DAYS, ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), strict=True))

_GROUP_BY: Final = ("alertname", "job", "namespace", "route", "model")
_HOW_OFTEN: Final = {
    # A page is told again as long as nobody has ended it; five seconds let the pages of one fault come as one.
    Severity.PAGE: {"group_wait": "5s", "group_interval": "1m", "repeat_interval": "4h"},
    Severity.TICKET: {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "1d"},
}


def routes_file(settings: Settings) -> str:
    """Return the configuration that the settings ask for, in YAML."""
    nobody = "" if settings.alerts.receivers else "# No `alerts.receivers` are set, so nobody is told of anything.\n"
    return _HEAD + nobody + yaml.safe_dump(configuration(settings), sort_keys=False, allow_unicode=True, width=10_000)


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the configuration."""
    alerts = settings.alerts
    told = list(_told(alerts.receivers))
    return {
        "global": {"resolve_timeout": "5m", **(_mail(alerts.mail) if alerts.mail else {})},
        "route": {
            "receiver": _NOBODY,
            "group_by": list(_GROUP_BY),
            "routes": [_watchdog_route(alerts.watchdog is not None), *(_route(*who, alerts.ticket_hours) for who in told)],
        },
        "receivers": [
            {"name": _NOBODY},
            *([{"name": _WATCHDOG, "webhook_configs": [{**_called(alerts.watchdog), "send_resolved": False}]}] if alerts.watchdog else []),
            *(_receiver(*who) for who in told),
        ],
        "inhibit_rules": list(_inhibitions()),
        **({"time_intervals": [_time_interval(alerts.ticket_hours)]} if alerts.ticket_hours else {}),
    }


def _told(receivers: Sequence[ReceiverSettings]) -> Iterator[tuple[str, Severity, list[ReceiverSettings]]]:
    """Yield who is told of a team's alerts of a severity, the teams first: what is for no team in particular takes the rest."""
    teams = dict.fromkeys(receiver.team for receiver in receivers)
    for team in sorted(teams, key=lambda name: (not name, name)):
        for severity in Severity:
            told = [receiver for receiver in receivers if receiver.team == team and receiver.severity in {None, severity}]
            if told:
                yield team, severity, told


def _name(team: str, severity: Severity) -> str:
    return f"{team}-{severity.value}" if team else severity.value


def _route(team: str, severity: Severity, _: list[ReceiverSettings], hours: Hours | None) -> dict[str, Any]:
    matchers = [f'severity="{severity.value}"', *([f'team="{quoted(team)}"'] if team else [])]
    held_back = {"active_time_intervals": [_HOURS]} if hours and severity is Severity.TICKET else {}
    return {"receiver": _name(team, severity), "matchers": matchers, **_HOW_OFTEN[severity], **held_back}


def _watchdog_route(watched: bool) -> dict[str, Any]:
    often = {"group_wait": "0s", "group_interval": "1m", "repeat_interval": "5m"} if watched else {}
    return {"receiver": _WATCHDOG if watched else _NOBODY, "matchers": ['alertname="Watchdog"'], **often}


def _receiver(team: str, severity: Severity, told: list[ReceiverSettings]) -> dict[str, Any]:
    services: dict[str, list[dict[str, Any]]] = {}
    for receiver in told:
        for service in receiver.services:
            services.setdefault(f"{service}_configs", []).append({**_SERVICES[service](receiver, severity), "send_resolved": True})
    return {"name": _name(team, severity), **services}


_SUMMARY: Final = "{{ .CommonAnnotations.summary }}"
_EACH: Final = "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\nRunbook: {{ .Annotations.runbook_url }}\nDashboard: {{ .Annotations.dashboard_url }}\n\n{{ end }}"


def _pagerduty(receiver: ReceiverSettings, severity: Severity) -> dict[str, Any]:
    level = "critical" if severity is Severity.PAGE else "warning"
    links = [{"href": f"{{{{ (index .Alerts 0).Annotations.{name}_url }}}}", "text": name} for name in ("runbook", "dashboard")]
    return {"routing_key_file": receiver.pagerduty, "severity": level, "description": _SUMMARY, "details": {"description": _EACH}, "links": links}


def _opsgenie(receiver: ReceiverSettings, severity: Severity) -> dict[str, Any]:
    priority = "P1" if severity is Severity.PAGE else "P3"
    return {"api_key_file": receiver.opsgenie, "priority": priority, "message": _SUMMARY, "description": _EACH}


def _slack(receiver: ReceiverSettings, _: Severity) -> dict[str, Any]:
    return {"api_url_file": receiver.slack, "title": "{{ .Status | toUpper }}: {{ .CommonAnnotations.summary }}", "text": _EACH}


def _email(receiver: ReceiverSettings, _: Severity) -> dict[str, Any]:
    return {"to": receiver.email, "headers": {"Subject": "{{ .Status | toUpper }}: {{ .CommonAnnotations.summary }}"}, "text": _EACH, "html": ""}


def _webhook(receiver: ReceiverSettings, _: Severity) -> dict[str, Any]:
    assert receiver.webhook is not None
    return _called(receiver.webhook)


def _called(url: Endpoint) -> dict[str, Any]:
    login = {"http_config": {"basic_auth": {"username": url.user, "password": url.password}}} if url.user else {}
    return {"url": url.address, **login}


_SERVICES: Final = {"pagerduty": _pagerduty, "opsgenie": _opsgenie, "slack": _slack, "email": _email, "webhook": _webhook}


def _mail(mail: MailSettings) -> dict[str, Any]:
    login = {"smtp_auth_username": mail.user} if mail.user else {}
    password = {"smtp_auth_password_file": mail.password} if mail.password else {}
    encrypted = mail.server.host not in {"127.0.0.1", "localhost", "::1"}
    return {"smtp_smarthost": str(mail.server), "smtp_from": mail.sender, "smtp_require_tls": encrypted, **login, **password}


def _inhibitions() -> Iterator[dict[str, Any]]:
    """Yield what silences what: the fault, once, and not what follows from it."""
    route = ["job", "namespace", "route"]
    yield {
        "source_matchers": ['alertname="UpstreamUnreachable"'],
        "target_matchers": ['alertname=~"ModelDataDrift|ErrorBudgetBurning|EndpointsOutOfService"'],
        "equal": route,
    }
    yield {
        "source_matchers": ['alertname="ErrorBudgetBurning"', 'severity="page"'],
        "target_matchers": ['alertname="ErrorBudgetBurning"', 'severity="ticket"'],
        "equal": [*route, "slo"],
    }
    yield {
        "source_matchers": ['alertname="StoreUnreachable"'],
        "target_matchers": ['alertname="ConsumerLagging"', 'consumer="store"'],
        "equal": ["job", "namespace"],
    }


def _time_interval(hours: Hours) -> dict[str, Any]:
    days = _DAY_NAMES[hours.first] if hours.first == hours.last else f"{_DAY_NAMES[hours.first]}:{_DAY_NAMES[hours.last]}"
    when = {"weekdays": [days], "times": [{"start_time": hours.begin, "end_time": hours.end}], "location": hours.zone}
    return {"name": _HOURS, "time_intervals": [when]}
