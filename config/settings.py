"""The settings. Command-line options, the reference page and the errors' examples come from these declarations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from config.addresses import Address, Endpoint, Url
from config.declare import Section, setting
from config.units import Budget, Bytes, Seconds, Share

SERVED_ARM: Final = "upstream"
"""The name of every route's served arm; its shadows have others."""


class ShadowSettings(Section, frozen=True):
    """A model that gets a copy of a route's traffic."""

    url: Annotated[Url, setting("Where to mirror requests to; its replies are never returned to a client.", example="http://127.0.0.1:9001")]
    name: Annotated[str, setting("The arm's name in records, metrics and alerts; by default shadow-1, shadow-2, … in order.", example="candidate")] = ""
    share: Annotated[Share, setting("The share of requests to mirror.", example="25%")] = Share(1)
    timeout: Annotated[Seconds, setting("How long a shadow may take for its whole reply.", at_least="1ms")] = Seconds(10)
    max_in_flight: Annotated[
        int, setting("Requests that a worker has open to this shadow at most; more are skipped and counted.", unit="requests", at_least="1")
    ] = 64
    max_body: Annotated[Bytes, setting("Requests with a larger body are not mirrored, and counted.")] = Bytes.parse("1 MiB")


class RouteSettings(Section, frozen=True):
    """Which requests go to which inference service, and who shadows it."""

    upstream: Annotated[Url, setting("The inference service that answers.", example="http://127.0.0.1:9000")]
    name: Annotated[str, setting("The route's name in records, metrics and alerts.", example="fraud")] = "default"
    path: Annotated[str, setting("Requests whose path starts with this take this route; the longest match wins.", example="/v2/models/fraud")] = "/"
    model: Annotated[str, setting("The model's name; by default it is read from the path or the body, else it is the route's name.", example="fraud")] = ""
    version: Annotated[str, setting("The model's version, likewise.", example="3")] = ""
    baseline: Annotated[
        str,
        setting("A baseline file made by `driftline baseline`; without one it is learned from the first traffic.", unit="file", example="fraud.baseline.json"),
    ] = ""
    shadows: Annotated[tuple[ShadowSettings, ...], setting("Models that get a copy of the traffic.")] = ()


class ProxySettings(Section, frozen=True):
    """The data plane: its address, processes, limits and timeouts."""

    listen: Annotated[Address, setting("Where clients connect.", example="0.0.0.0:8080")] = Address("127.0.0.1", 8080)
    workers: Annotated[int, setting("Worker processes that share the listening address.", unit="processes", at_least="1", at_most="256")] = 1
    capture: Annotated[Bytes, setting("How much of each body is kept; longer ones are stored truncated with their true length.")] = Bytes.parse("64 KiB")
    max_head: Annotated[Bytes, setting("The largest request or reply head that is accepted.", at_least="1 KiB", at_most="1 MiB")] = Bytes.parse("64 KiB")
    connect_timeout: Annotated[Seconds, setting("How long connecting to an upstream may take.", at_least="1ms")] = Seconds(5)
    reply_timeout: Annotated[Seconds, setting("How long an upstream may stay silent while a reply is due.", at_least="1ms")] = Seconds(60)
    upstream_idle: Annotated[Seconds, setting("How long an idle connection to an upstream is kept; below the upstream's own keep-alive time.")] = Seconds(4)
    max_upstream_connections: Annotated[
        int, setting("Connections of one worker to one upstream; further requests wait for one.", unit="connections", at_least="1")
    ] = 1024
    grace: Annotated[Seconds, setting("How long a stopping worker finishes what is in flight.")] = Seconds(20)


class SpoolSettings(Section, frozen=True):
    """The durable log between the data plane and the watching side."""

    directory: Annotated[
        str, setting("Where the spool lies; by default `spool` in the data directory.", unit="directory", example="/var/lib/driftline/spool")
    ] = ""
    max_size: Annotated[Bytes, setting("Disk space of the spool at most; when it is full the newest records are dropped and counted.")] = Bytes.parse("2 GiB")
    segment_size: Annotated[Bytes, setting("Size of one segment file.", at_least="256 KiB", at_most="1 GiB")] = Bytes.parse("4 MiB")


class StoreSettings(Section, frozen=True):
    """ClickHouse, embedded or a server."""

    clickhouse: Annotated[
        Endpoint | None, setting("A ClickHouse server; by default the store is embedded in the monitor.", example="http://user@clickhouse:8123/driftline")
    ] = None
    batch_rows: Annotated[int, setting("Rows in one insert at most.", unit="rows", at_least="1", at_most="1000000")] = 10_000
    batch_wait: Annotated[Seconds, setting("How long the oldest record waits for its batch to fill.")] = Seconds(1)


class DriftSettings(Section, frozen=True):
    """Windows, baselines and the budget for false alerts."""

    budget: Annotated[Budget, setting("How often a false alert is acceptable, over all models together.")] = Budget.parse("1 per 30 days")
    window_rows: Annotated[int, setting("A window closes at this many rows.", unit="rows", at_least="10")] = 1_000
    window_time: Annotated[Seconds, setting("A window closes after this time if it has `window_min_rows`, else it waits for them.", at_least="1s")] = Seconds(
        600
    )
    window_min_rows: Annotated[int, setting("The fewest rows on which a window is tested.", unit="rows", at_least="10")] = 200
    baseline_rows: Annotated[int, setting("Rows of first traffic from which a baseline is learned.", unit="rows", at_least="200")] = 5_000
    max_features: Annotated[int, setting("Features watched per model at most; further ones are counted.", unit="features", at_least="1")] = 1_000


class AlertSettings(Section, frozen=True):
    """Who is told."""

    webhook: Annotated[
        Endpoint | None, setting("Where alerts are sent, in the form of Alertmanager's webhook (version 4).", example="http://127.0.0.1:9095/hook")
    ] = None
    runbook_base: Annotated[str, setting("Alerts link to this page's headings.", unit="url or path")] = "docs/runbooks/README.md"


class Settings(Section, frozen=True):
    """The whole of a configuration file."""

    admin: Annotated[Address, setting("Where the metrics, health and JSON API are served.")] = Address("127.0.0.1", 8081)
    data_dir: Annotated[
        str, setting("Where everything is kept: the spool, the embedded store, learned baselines.", unit="directory", example="/var/lib/driftline")
    ] = "driftline-data"
    proxy: Annotated[ProxySettings, setting("The data plane.")] = ProxySettings()
    routes: Annotated[tuple[RouteSettings, ...], setting("Which requests go where.")] = ()
    spool: Annotated[SpoolSettings, setting("The durable log between the data plane and the watching side.")] = SpoolSettings()
    store: Annotated[StoreSettings, setting("ClickHouse.")] = StoreSettings()
    drift: Annotated[DriftSettings, setting("Windows, tests and the budget for false alerts.")] = DriftSettings()
    alerts: Annotated[AlertSettings, setting("Who is told.")] = AlertSettings()

    @property
    def spool_directory(self) -> Path:
        """Where the spool lies, its default resolved."""
        return Path(self.spool.directory) if self.spool.directory else Path(self.data_dir) / "spool"
