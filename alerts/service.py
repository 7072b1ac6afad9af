"""Notifies PagerDuty, Slack or a mailbox, by the apprise library (https://github.com/caronc/apprise)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, urlencode

import apprise

from alerts.text import body, title
from alerts.webhook import fingerprint, labels_of
from config.settings import MailSettings, ReceiverSettings
from records.alert import Alert, AlertState, Severity
from records.ports import NotDeliveredError

TIMEOUT_SECONDS: Final = 10

_APPRISE: Final = logging.getLogger("apprise")

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class ServiceNotifier:
    """Implements `records.ports.Notifier`: a message for each alert. A pager's incident ends with its alert: both have the fingerprint."""

    def __init__(self, name: str, address: Callable[[Alert], str]) -> None:
        """`address` gives apprise's URL for an alert, and raises OSError or ValueError where a secret cannot be read."""
        self._name = name
        self._address = address

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Send changes of alerts, one after the other: what follows on one that failed is sent again with it."""
        for alert in alerts:
            await asyncio.to_thread(self._send, alert)

    def _send(self, alert: Alert) -> None:
        try:
            address = self._address(alert)
        except (OSError, ValueError) as error:
            raise NotDeliveredError(f"the secret of {self._name} cannot be read: {error}") from None
        services = apprise.Apprise()
        if not services.add(address):
            raise NotDeliveredError(f"the secret of {self._name} does not look like one of that service")
        kind = apprise.NotifyType.SUCCESS if alert.state is AlertState.RESOLVED else apprise.NotifyType.FAILURE
        with _Heard() as heard:
            delivered = services.notify(body=body(alert), title=title(alert), notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
        if not delivered:
            raise NotDeliveredError(heard.text or f"{self._name} did not take it")


def service_of(receiver: ReceiverSettings, mail: MailSettings | None) -> ServiceNotifier:
    """Return what notifies a receiver by PagerDuty, Slack or mail."""
    if receiver.pagerduty:
        return ServiceNotifier(receiver.name, lambda alert: _pagerduty(_secret(receiver.pagerduty), alert))
    if receiver.slack:
        return ServiceNotifier(receiver.name, lambda _: f"{_secret(receiver.slack)}?{_WAIT}")
    assert mail is not None  # config.rules
    return ServiceNotifier(receiver.name, lambda _: _mailbox(receiver.email, mail))


_WAIT: Final = urlencode({"rto": TIMEOUT_SECONDS, "cto": TIMEOUT_SECONDS})


def _pagerduty(key: str, alert: Alert) -> str:
    severity = "critical" if alert.severity is Severity.PAGE else "warning"
    options = {"action": "map", "dedup": fingerprint(labels_of(alert)), "severity": severity, "class": alert.name, "click": alert.console_url}
    # Apprise asks for a key of the REST API too, which the Events API does not; it logs that one where a message fails.
    return f"pagerduty://{quote(key, safe='')}@pagerduty/driftline?{urlencode(options)}&{_WAIT}"


def _mailbox(address: str, mail: MailSettings) -> str:
    login = f"{quote(mail.user, safe='')}:{quote(_secret(mail.password), safe='')}@" if mail.user else ""
    scheme, mode = ("mailto", "insecure") if mail.server.host in _HERE else ("mailtos", "starttls")
    options = {"from": mail.sender, "to": address, "mode": mode, "smtp": mail.server.host, "format": "text"}
    return f"{scheme}://{login}{mail.server}?{urlencode(options)}&{_WAIT}"


def _secret(file: str) -> str:
    secret = Path(file).read_text(encoding="utf-8").strip()
    if not secret:
        raise ValueError(f"{file} is empty")
    return secret


class _Heard(logging.Handler):
    """Keeps what apprise says of a failure, which it logs and does not return. Its URLs, with their secrets, it does not log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        """What was said, in one line."""
        return " ".join(self._lines)[:500]

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())

    def __enter__(self) -> Self:
        _APPRISE.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _APPRISE.removeHandler(self)
