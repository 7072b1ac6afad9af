"""Notifies a URL, in the form of Alertmanager's webhook (version 4).

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from config.addresses import Endpoint
from records.alert import Alert, AlertState, links_of
from records.ports import NotDeliveredError
from records.times import format_time

TIMEOUT_SECONDS: Final = 10.0
_REPLY_BYTES_SHOWN: Final = 200
_NO_HEADERS: Final[Mapping[str, str]] = {}
_NEVER: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: how Alertmanager writes the end of what has not ended."""


class WebhookNotifier:
    """Implements `records.ports.Notifier`: a POST, which any 2xx status acknowledges; redirects are not followed."""

    def __init__(self, url: Endpoint, external_url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._url = url
        self._external_url = external_url
        self._timeout_seconds = timeout_seconds

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Send changes of alerts of one name in one message."""
        await post(self._url, "", msgspec.json.encode(message(alerts, self._external_url)), "the webhook", timeout_seconds=self._timeout_seconds)


async def post(url: Endpoint, path: str, body: bytes, what: str, *, headers: Mapping[str, str] = _NO_HEADERS, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """POST a JSON document to a path under a URL; raise `NotDeliveredError`, which says `what` did not take it, after anything but a 2xx status."""
    address = url.address.rstrip("/") + path if path else url.address
    login = aiohttp.BasicAuth(url.user, url.password) if url.user else None
    # A connection of its own for each message: they are rare, and one kept from the last time is most likely dead.
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_seconds), auth=login) as session,
            session.post(address, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False) as reply,
        ):
            if not 200 <= reply.status < 300:
                text = (await reply.content.read(_REPLY_BYTES_SHOWN)).decode(errors="replace")
                raise NotDeliveredError(f"{what} answered {reply.status} {text!r}")
    except TimeoutError as error:
        raise NotDeliveredError(f"{what} did not answer within {timeout_seconds:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NotDeliveredError(f"{what} cannot be reached: {error}") from error


def message(alerts: Sequence[Alert], external_url: str) -> dict[str, Any]:
    """Return the message about one or more alerts of one name."""
    entries = [entry(alert) for alert in alerts]
    name = alerts[0].name
    firing = any(alert.state is AlertState.FIRING for alert in alerts)
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": "driftline",
        "groupLabels": {"alertname": name},
        "commonLabels": _common(entry["labels"] for entry in entries),
        "commonAnnotations": _common(entry["annotations"] for entry in entries),
        "externalURL": external_url,
        "alerts": entries,
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the identity of a set of labels as Prometheus and Alertmanager compute it: FNV-1a of 64 bits over names and values.

    >>> fingerprint({})
    'cbf29ce484222325'
    """
    value = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def labels_of(alert: Alert) -> dict[str, str]:
    """Return what tells an alert from others, to Prometheus: an empty label is the same as none."""
    return {name: value for name, value in alert.labels.items() if value} | {"alertname": alert.name, "severity": alert.severity.value}


def entry(alert: Alert) -> dict[str, Any]:
    """Return one alert as it stands in the message."""
    labels = labels_of(alert)
    return {
        "status": alert.state.value,
        "labels": labels,
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "features": ", ".join(alert.features),
            "since": format_time(alert.started_at_ns),
            "runbook_url": alert.runbook_url,
            "console_url": alert.console_url,
            **links_of(alert),
        },
        "startsAt": format_time(alert.fired_at_ns),
        "endsAt": format_time(alert.resolved_at_ns) if alert.resolved_at_ns else _NEVER,
        "generatorURL": alert.console_url,
        "fingerprint": fingerprint(labels),
    }


def _common(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return dict(sorted(set.intersection(*(set(mapping.items()) for mapping in mappings))))
