"""The settings. Command-line options, the reference page and the errors' examples come from these declarations."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec


def _setting(text: str, *, unit: str = "", example: str = "") -> msgspec.Meta:
    """Describe one setting: what it does, the unit in which it is counted, and how a user would write it."""
    extra: dict[str, Any] = {"unit": unit, "example": example}
    return msgspec.Meta(description=text, extra=extra)


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of settings: unknown keys are errors, values never change."""


class ShadowSettings(_Section, frozen=True):
    """A model that gets a copy of a route's traffic."""

    url: Annotated[str, _setting("Where to mirror requests to; its replies are never returned to a client.", example="http://127.0.0.1:9001")]
    name: Annotated[str, _setting("The arm's name in records, metrics and alerts; by default shadow-1, shadow-2, … in order.", example="candidate")] = ""
    share: Annotated[str, _setting("The share of requests to mirror.", example="25%")] = "100%"
    timeout: Annotated[str, _setting("How long a shadow may take for its whole reply.", unit="duration", example="10s")] = "10s"
    max_in_flight: Annotated[int, _setting("Requests that a worker has open to this shadow at most; more are skipped and counted.")] = 64
    max_body: Annotated[str, _setting("Requests with a larger body are not mirrored, and counted.", unit="bytes", example="1 MiB")] = "1 MiB"


class RouteSettings(_Section, frozen=True):
    """Which requests go to which inference service, and who shadows it."""

    upstream: Annotated[str, _setting("The inference service that answers.", example="http://127.0.0.1:9000")]
    name: Annotated[str, _setting("The route's name in records, metrics and alerts.", example="fraud")] = "default"
    path: Annotated[str, _setting("Requests whose path starts with this take this route; the longest match wins.", example="/v2/models/fraud")] = "/"
    model: Annotated[str, _setting("The model's name; by default it is read from the path or the body, else it is the route's name.", example="fraud")] = ""
    version: Annotated[str, _setting("The model's version, likewise.", example="3")] = ""
    baseline: Annotated[
        str, _setting("A baseline file made by `driftline baseline`; without one it is learned from the first traffic.", example="fraud.baseline.json")
    ] = ""
    shadows: Annotated[tuple[ShadowSettings, ...], _setting("Models that get a copy of the traffic.")] = ()


class ProxySettings(_Section, frozen=True):
    """The data plane: its address, processes, limits and timeouts."""

    listen: Annotated[str, _setting("Where clients connect.", unit="host:port", example="0.0.0.0:8080")] = "127.0.0.1:8080"
    workers: Annotated[int, msgspec.Meta(ge=1, le=256), _setting("Worker processes that share the listening address.")] = 1
    capture: Annotated[
        str, _setting("How much of each body is kept; longer ones are stored truncated with their true length.", unit="bytes", example="64 KiB")
    ] = "64 KiB"
    max_head: Annotated[str, _setting("The largest request or reply head that is accepted.", unit="bytes", example="64 KiB")] = "64 KiB"
    connect_timeout: Annotated[str, _setting("How long connecting to an upstream may take.", unit="duration", example="5s")] = "5s"
    reply_timeout: Annotated[str, _setting("How long an upstream may stay silent while a reply is due.", unit="duration", example="60s")] = "60s"
    upstream_idle: Annotated[
        str, _setting("How long an idle connection to an upstream is kept; below the upstream's own keep-alive time.", unit="duration", example="4s")
    ] = "4s"
    max_upstream_connections: Annotated[int, msgspec.Meta(ge=1), _setting("Connections of one worker to one upstream; further requests wait for one.")] = 1024
    grace: Annotated[str, _setting("How long a stopping worker finishes what is in flight.", unit="duration", example="20s")] = "20s"


class SpoolSettings(_Section, frozen=True):
    """The durable log between the data plane and the watching side."""

    directory: Annotated[str, _setting("Where the spool lies; by default `spool` in the data directory.", example="/var/lib/driftline/spool")] = ""
    max_size: Annotated[
        str, _setting("Disk space of the spool at most; when it is full the newest records are dropped and counted.", unit="bytes", example="4 GiB")
    ] = "2 GiB"
    segment_size: Annotated[str, _setting("Size of one segment file.", unit="bytes", example="4 MiB")] = "4 MiB"


class StoreSettings(_Section, frozen=True):
    """ClickHouse, embedded or a server."""

    clickhouse: Annotated[
        str, _setting("A ClickHouse server; by default the store is embedded in the monitor.", unit="url", example="http://user@clickhouse:8123/driftline")
    ] = ""
    batch_rows: Annotated[int, msgspec.Meta(ge=1), _setting("Rows in one insert at most.", unit="rows")] = 10_000
    batch_wait: Annotated[str, _setting("How long the oldest record waits for its batch to fill.", unit="duration", example="1s")] = "1s"


class DriftSettings(_Section, frozen=True):
    """Windows, baselines and the budget for false alerts."""

    budget: Annotated[str, _setting("How often a false alert is acceptable, over all models together.", example="1 per 30 days")] = "1 per 30 days"
    window_rows: Annotated[int, msgspec.Meta(ge=10), _setting("A window closes at this many rows.", unit="rows")] = 1_000
    window_time: Annotated[
        str, _setting("A window closes after this time, if it has `window_min_rows`; else it waits for them.", unit="duration", example="10m")
    ] = "10m"
    window_min_rows: Annotated[int, msgspec.Meta(ge=10), _setting("The fewest rows on which a window is tested.", unit="rows")] = 200
    baseline_rows: Annotated[int, msgspec.Meta(ge=200), _setting("Rows of first traffic from which a baseline is learned.", unit="rows")] = 5_000
    max_features: Annotated[int, msgspec.Meta(ge=1), _setting("Features watched per model at most; further ones are counted.")] = 1_000


class AlertSettings(_Section, frozen=True):
    """Who is told."""

    webhook: Annotated[
        str, _setting("Where alerts are sent, in the form of Alertmanager's webhook (version 4).", unit="url", example="http://127.0.0.1:9095/hook")
    ] = ""
    runbook_base: Annotated[str, _setting("Alerts link to this page's headings.", unit="url")] = "docs/runbooks/README.md"


class Settings(_Section, frozen=True):
    """The whole of a configuration file."""

    admin: Annotated[str, _setting("Where the metrics, health and JSON API are served.", unit="host:port", example="127.0.0.1:8081")] = "127.0.0.1:8081"
    data_dir: Annotated[str, _setting("Where everything is kept: the spool, the embedded store, learned baselines.", example="/var/lib/driftline")] = (
        "driftline-data"
    )
    proxy: Annotated[ProxySettings, _setting("The data plane.")] = ProxySettings()
    routes: Annotated[tuple[RouteSettings, ...], _setting("Which requests go where.")] = ()
    spool: Annotated[SpoolSettings, _setting("The durable log between the data plane and the watching side.")] = SpoolSettings()
    store: Annotated[StoreSettings, _setting("ClickHouse.")] = StoreSettings()
    drift: Annotated[DriftSettings, _setting("Windows, tests and the budget for false alerts.")] = DriftSettings()
    alerts: Annotated[AlertSettings, _setting("Who is told.")] = AlertSettings()
