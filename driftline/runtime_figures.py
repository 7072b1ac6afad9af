"""What the runtime counts, asked of it at its address for operators: the monitor shows it beside its own."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Final

import msgspec

from config.addresses import Address
from driftline.unix_connection import UnixConnection
from records.metrics import Metric

_TIMEOUT_SECONDS: Final = 1.0
_UP: Final = (Metric.UP.metric_name, "runtime")


def runtime_figures(admin: Address) -> dict[tuple[str, ...], float]:
    """Return its numbers by metric name, then label values; only that it is down where it does not answer in time. Blocking."""
    path, timeout = Path(admin.host), _TIMEOUT_SECONDS
    connection = UnixConnection(path, timeout) if admin.is_unix else http.client.HTTPConnection(admin.host or "127.0.0.1", admin.port, timeout=timeout)
    try:
        connection.request("GET", "/samples")
        numbers = dict(msgspec.json.decode(connection.getresponse().read(), type=list[tuple[tuple[str, ...], float]]))
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return {_UP: 0}
    finally:
        connection.close()
    return {**numbers, _UP: 1}
