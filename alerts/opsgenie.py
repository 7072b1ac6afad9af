"""Notifies Opsgenie, by its Alert API. The apprise library closes only what the same process has opened, so this speaks for itself.

https://docs.opsgenie.com/docs/alert-api
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from alerts.text import body, title
from alerts.webhook import fingerprint, labels_of, post
from config.addresses import Endpoint
from records.alert import Alert, AlertState, Severity
from records.ports import NotDeliveredError

API: Final = Endpoint.parse("https://api.opsgenie.com/v2/alerts")
_MESSAGE_CHARACTERS: Final = 130
_DESCRIPTION_CHARACTERS: Final = 15_000


class OpsgenieNotifier:
    """Implements `records.ports.Notifier`. The alert's fingerprint is the alias by which it is closed."""

    def __init__(self, key_file: str, api: Endpoint = API) -> None:
        self._key_file = key_file
        self._api = api

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Open or close an alert for each change, one after the other."""
        try:
            key = (await asyncio.to_thread(Path(self._key_file).read_text, encoding="utf-8")).strip()
        except (OSError, ValueError) as error:
            raise NotDeliveredError(f"Opsgenie's API key cannot be read: {error}") from None
        for alert in alerts:
            path, message = _closing(alert) if alert.state is AlertState.RESOLVED else ("", _opening(alert))
            await post(self._api, path, msgspec.json.encode(message), "Opsgenie", headers={"Authorization": f"GenieKey {key}"})


def _opening(alert: Alert) -> dict[str, object]:
    return {
        "message": title(alert)[:_MESSAGE_CHARACTERS],
        "alias": fingerprint(labels_of(alert)),
        "description": body(alert)[:_DESCRIPTION_CHARACTERS],
        "details": labels_of(alert),
        "source": "driftline",
        "priority": "P1" if alert.severity is Severity.PAGE else "P3",
    }


def _closing(alert: Alert) -> tuple[str, dict[str, object]]:
    return f"/{fingerprint(labels_of(alert))}/close?identifierType=alias", {"source": "driftline", "note": body(alert)}
