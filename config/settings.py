"""The settings. Command-line options, the reference page and the errors' examples come from these declarations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from config.addresses import Address, Endpoint, Url
from config.choices import CategoricalStatistic, Device, NumericStatistic, TokenAlgorithm, ToldBy, WhenFull
from config.declare import Section, setting
from config.hosts import Hosts
from config.hours import Hours
from config.quantities import Cores, Memory
from config.redaction import Action, Capture, Place
from config.secrets import Secret
from config.selection import Condition, Key
from config.units import Budget, Bytes, Seconds, Share
from records.access import AccessRole
from records.alert import Severity
from records.payload import Format

SERVED_ARM: Final = "upstream"
"""The name of every route's served arm; its shadows have others."""


class HealthSettings(Section, frozen=True):
    """Health checks: each worker asks each endpoint by itself. One that fails gets no requests, unless all do."""

    path: Annotated[str, setting("What is asked for with GET; a status from 200 to 399 passes.", example="/v2/health/ready")]
    interval: Annotated[Seconds, setting("How often.", at_least="100ms")] = Seconds(5)
    timeout: Annotated[Seconds, setting("How long the reply may take; no longer than the interval.", at_least="1ms")] = Seconds(2)
    healthy_after: Annotated[int, setting("Checks passed in a row that bring an endpoint back.", unit="checks", at_least="1")] = 2
    unhealthy_after: Annotated[
        int, setting("Checks failed in a row that leave an endpoint out; the first one of all counts at once.", unit="checks", at_least="1")
    ] = 3


class UpstreamTlsSettings(Section, frozen=True):
    """TLS to endpoints with https:// URLs. Their certificates are always verified. The files are taken anew when they change."""

    ca: Annotated[
        str, setting("Whose signature makes an endpoint's certificate good, in PEM; by default the system's.", unit="file", example="/etc/driftline/ca.crt")
    ] = ""
    certificate: Annotated[
        str, setting("The certificate that is shown to endpoints that ask for one, in PEM; by default none.", unit="file", example="/etc/driftline/proxy.crt")
    ] = ""
    key: Annotated[str, setting("Its private key, in PEM, without a password.", unit="file", example="/etc/driftline/proxy.key")] = ""
    server_name: Annotated[
        str, setting("The name that certificates must have, which is also asked for (SNI); by default the URL's host.", example="models.internal")
    ] = ""


class ShadowSettings(Section, frozen=True):
    """A model that gets a copy of a route's traffic."""

    url: Annotated[
        tuple[Url, ...],
        setting("Where to mirror requests to, one URL or a list; its replies are never returned to a client.", example="http://127.0.0.1:9001"),
    ]
    name: Annotated[str, setting("The arm's name in records, metrics and alerts; by default shadow-1, shadow-2, … in order.", example="candidate")] = ""
    share: Annotated[Share, setting("The share of requests to mirror.", example="25%")] = Share(1)
    when: Annotated[Condition | None, setting("Mirror only requests whose header field has this value.", example="X-Canary=yes")] = None
    key: Annotated[
        Key | None,
        setting(
            "Take the share of the values of this field, or of this parameter in the query: requests with the same one are mirrored all or none.",
            example="X-Session-Id",
        ),
    ] = None
    timeout: Annotated[Seconds, setting("How long a shadow may take for its whole reply, from when it was sent the whole request.", at_least="1ms")] = Seconds(
        10
    )
    tolerance: Annotated[
        Share,
        setting("The share of its answers that may differ from the served ones; on evidence that more do there is a ticket. `100%` for none.", example="5%"),
    ] = Share(0.0025)
    max_in_flight: Annotated[
        int, setting("Requests that a worker has open to this shadow at most; more are skipped and counted.", unit="requests", at_least="1")
    ] = 64
    max_buffer: Annotated[
        Bytes,
        setting(
            "Bytes that wait in a worker for this shadow at most, over all requests; beyond it the slowest request is given up and counted.", at_least="1 MiB"
        ),
    ] = Bytes.parse("8 MiB")
    tls: Annotated[UpstreamTlsSettings, setting("How https:// endpoints are spoken with.")] = UpstreamTlsSettings()
    health: Annotated[HealthSettings | None, setting("Health checks of its endpoints; by default they are not asked.")] = None


class RedactionSettings(Section, frozen=True):
    """What must not be kept as it is, in requests and replies alike. A body in which a rule cannot be applied is not kept."""

    at: Annotated[
        Place,
        setting(
            "Where it stands: a JSON path, `tensor:NAME` (Open Inference V2), `header:NAME`, `form:NAME`, `?NAME` for a query parameter, `client` or `principal`.",
            example="$.customer.id",
        ),
    ]
    do: Annotated[
        Action,
        setting("`drop` it; `mask` it with a constant of its type; or `hash` it, so that equal values stay equal, with the first of `privacy.hash_keys`."),
    ] = Action.DROP


class SloSettings(Section, frozen=True):
    """What a route promises over 30 days. Alerts tell when its error budget, what the promise leaves, is used up too fast."""

    availability: Annotated[Share, setting("The share of requests that are to be answered whole and with no status from 500 on.")] = Share(0.999)
    latency: Annotated[
        Seconds | None,
        setting("Replies are to be whole within this time: one of the bounds of `driftline_http_request_duration_seconds`; by default any.", example="250ms"),
    ] = None
    latency_share: Annotated[Share, setting("The share of requests of which `latency` must hold.")] = Share(0.99)


class RouteSettings(Section, frozen=True):
    """Which requests go to which inference service, and who shadows it."""

    upstream: Annotated[
        tuple[Url, ...],
        setting("The inference service that answers: one URL, or a list where several endpoints serve the same.", example="http://127.0.0.1:9000"),
    ]
    name: Annotated[str, setting("The route's name in records, metrics and alerts.", example="fraud")] = "default"
    path: Annotated[str, setting("Requests whose path starts with this take this route; the longest match wins.", example="/v2/models/fraud")] = "/"
    model: Annotated[str, setting("The model's name; by default it is read from the path or the body, else it is the route's name.", example="fraud")] = ""
    version: Annotated[str, setting("The model's version, likewise.", example="3")] = ""
    idempotent: Annotated[bool, setting("Whether requests may be sent again where a kept connection closes without a word, whatever their method.")] = False
    format: Annotated[
        Format | None,
        setting("What the bodies are, where the path does not tell, or tells wrong (docs/formats.md); by default it is read from the path.", example="json"),
    ] = None
    features: Annotated[
        str,
        setting(
            "With format json: a JMESPath expression that finds the features in requests; by default the whole body.",
            unit="expression",
            example='"instances[].{age: age, city: address.city}"',
        ),
    ] = ""
    predictions: Annotated[
        str, setting("With format json: a JMESPath expression that finds the predictions in replies, likewise.", unit="expression", example="result.scores")
    ] = ""
    signature: Annotated[
        str,
        setting(
            "What the model says of its inputs, for bodies that name no columns: MLflow's MLmodel, or what GET /v2/models/NAME answers.",
            unit="file",
            example="model/MLmodel",
        ),
    ] = ""
    baseline: Annotated[
        str,
        setting("A baseline file made by `driftline baseline`; without one it is learned from the first traffic.", unit="file", example="fraud.baseline.json"),
    ] = ""
    tls: Annotated[UpstreamTlsSettings, setting("How https:// endpoints are spoken with.")] = UpstreamTlsSettings()
    health: Annotated[HealthSettings | None, setting("Health checks of its endpoints; by default they are not asked.")] = None
    capture: Annotated[
        Capture,
        setting("What is kept of its exchanges: `both` bodies, the `request`'s, the `response`'s, only the `heads`, or nothing (`off`)."),
    ] = Capture.BOTH
    sample: Annotated[Share, setting("The share of its exchanges that are kept; the replies of shadows with what was served.", example="10%")] = Share(1)
    redact: Annotated[tuple[RedactionSettings, ...], setting("What must not be kept as it is.")] = ()
    subject: Annotated[
        Place | None,
        setting("Whose data an exchange is: it is kept hashed, for `driftline forget --subject`; by default nobody's.", example="$.customer.id"),
    ] = None
    label_key: Annotated[
        Place | None,
        setting(
            "Where your own name of an exchange stands in its request, by which labels find it (docs/labels.md); it is kept as it is.", example="$.order_id"
        ),
    ] = None
    team: Annotated[str, setting("Who answers for it: the label `team` of its alerts, by which `alerts.receivers` are chosen.", example="risk")] = ""
    slo: Annotated[SloSettings, setting("What it promises.")] = SloSettings()
    shadows: Annotated[tuple[ShadowSettings, ...], setting("Models that get a copy of the traffic.")] = ()


class EjectionSettings(Section, frozen=True):
    """When an endpoint that does worse than its siblings gets no requests for a while. An upstream with one endpoint keeps it."""

    failures: Annotated[
        int,
        setting("Failures in a row that eject: no connection, no whole or valid reply, or a status of 502, 503 or 504.", unit="requests", at_least="1"),
    ] = 5
    time: Annotated[Seconds, setting("How long, times the number of ejections in succession, up to ten times as long.", at_least="1ms")] = Seconds(30)
    max_share: Annotated[Share, setting("The share of an upstream's endpoints that are ejected at once at most.")] = Share(0.5)
    latency_factor: Annotated[
        int,
        setting("Eject an endpoint whose mean time to the reply's head is this many times the median of three or more endpoints.", unit="times", at_least="2"),
    ] = 5


class TlsSettings(Section, frozen=True):
    """TLS for clients. The files are taken anew when they change."""

    certificate: Annotated[str, setting("The certificate and those that lead to its root, in PEM.", unit="file", example="/etc/driftline/tls.crt")]
    key: Annotated[str, setting("Its private key, in PEM, without a password.", unit="file", example="/etc/driftline/tls.key")]
    client_ca: Annotated[
        str,
        setting(
            "Whose signature makes a client's certificate good: one must be shown to the proxy, and may be at the admin address; by default none is asked for.",
            unit="file",
            example="/etc/driftline/clients.crt",
        ),
    ] = ""


class RateLimitSettings(Section, frozen=True):
    """How often each client may send requests (429): by its name where it is authenticated, else by its address. Each worker counts for itself."""

    requests: Annotated[int, setting("Requests in a second, on average.", unit="requests", example="100", at_least="1", at_most="1000000")]
    burst: Annotated[
        int | None, setting("Requests at once; by default as many as in a second.", unit="requests", example="200", at_least="1", at_most="1000000")
    ] = None


class ProxySettings(Section, frozen=True):
    """The data plane: its address, processes, limits and timeouts."""

    listen: Annotated[Address, setting("Where clients connect; also `unix:/path/of/socket`.", example="0.0.0.0:8080")] = Address("127.0.0.1", 8080)
    tls: Annotated[TlsSettings | None, setting("TLS for clients; by default the proxy speaks plain HTTP.")] = None
    authenticate: Annotated[bool, setting("Whether clients must show who they are (401), and may send requests (403): by `access`, or by a certificate.")] = (
        False
    )
    rate_limit: Annotated[RateLimitSettings | None, setting("How often each client may send requests; by default as often as it likes.")] = None
    workers: Annotated[int, setting("Worker processes that share the listening address.", unit="processes", at_least="1", at_most="256")] = 1
    capture: Annotated[Bytes, setting("How much of each body is kept; longer ones are stored truncated with their true length.")] = Bytes.parse("64 KiB")
    max_head: Annotated[Bytes, setting("The largest request or reply head that is accepted.", at_least="1 KiB", at_most="1 MiB")] = Bytes.parse("64 KiB")
    max_body: Annotated[Bytes | None, setting("The largest request body that is accepted (413); by default any.", example="64 MiB")] = None
    head_timeout: Annotated[Seconds, setting("How long a client may take for a request's head, from its first byte on (408).", at_least="1ms")] = Seconds(10)
    body_timeout: Annotated[Seconds, setting("How long a client may send nothing of a body that is due (408).", at_least="1ms")] = Seconds(30)
    send_timeout: Annotated[Seconds, setting("How long a client may take nothing of its reply; then it is cut off.", at_least="1ms")] = Seconds(60)
    client_idle: Annotated[Seconds, setting("How long a client's connection may stay open between requests.", at_least="1ms")] = Seconds(75)
    connect_timeout: Annotated[
        Seconds, setting("How long a request waits for a connection to its upstream to be made (504) or to become free (503).", at_least="1ms")
    ] = Seconds(5)
    first_byte_timeout: Annotated[Seconds, setting("How long an upstream may take until its reply begins (504).", at_least="1ms")] = Seconds(60)
    reply_idle_timeout: Annotated[Seconds, setting("How long an upstream may go silent within a reply; then it is cut off.", at_least="1ms")] = Seconds(60)
    tunnel_idle_timeout: Annotated[Seconds, setting("How long both sides of a WebSocket may stay silent.", at_least="1ms")] = Seconds(600)
    total_timeout: Annotated[
        Seconds | None, setting("How long a whole exchange may take (504, or cut off); by default any time.", example="5m", at_least="1ms")
    ] = None
    max_connections: Annotated[
        int, setting("Client connections of one worker; further ones are answered 503 and closed.", unit="connections", at_least="1")
    ] = 16_384
    max_in_flight: Annotated[int, setting("Requests that one worker forwards at a time; further ones are answered 503.", unit="requests", at_least="1")] = 4096
    max_pending: Annotated[
        Bytes, setting("Request bytes of one worker that may wait for a connection to an upstream; further requests are answered 503.", at_least="1 KiB")
    ] = Bytes.parse("64 MiB")
    upstream_idle: Annotated[Seconds, setting("How long an idle connection to an upstream is kept; below the upstream's own keep-alive time.")] = Seconds(4)
    max_upstream_connections: Annotated[
        int, setting("Connections of one worker to one endpoint of an upstream; further requests wait for one.", unit="connections", at_least="1")
    ] = 1024
    max_waiting: Annotated[
        int, setting("Requests of one worker that wait for a connection to one upstream; further ones are answered 503.", unit="requests", at_least="1")
    ] = 1024
    resolve_interval: Annotated[Seconds, setting("How often the names of upstreams are looked up again; each address is an endpoint.", at_least="100ms")] = (
        Seconds(30)
    )
    slow_start: Annotated[Seconds, setting("How long the share of requests grows for an endpoint that is new or well again.")] = Seconds(10)
    ejection: Annotated[EjectionSettings, setting("When endpoints that fail are left out.")] = EjectionSettings()
    grace: Annotated[Seconds, setting("How long a stopping worker finishes what is in flight.")] = Seconds(20)


class SpoolSettings(Section, frozen=True):
    """The durable log between the data plane and the watching side."""

    directory: Annotated[
        str, setting("Where the spool lies; by default `spool` in the data directory.", unit="directory", example="/var/lib/driftline/spool")
    ] = ""
    max_size: Annotated[Bytes, setting("Disk space of the spool at most.")] = Bytes.parse("2 GiB")
    min_free: Annotated[Bytes, setting("Disk space that the spool leaves to others: with less than this free, it counts as full.")] = Bytes.parse("64 MiB")
    max_age: Annotated[
        Seconds | None,
        setting(
            "Records that wait for the store longer than this are given up and counted; by default they may wait for ever.", example="7 days", at_least="1s"
        ),
    ] = None
    when_full: Annotated[
        WhenFull,
        setting(
            "What is lost, and counted, when the spool is full: the newest records (`drop_newest`), or the oldest, which the monitor gives up to make room (`drop_oldest`)."
        ),
    ] = WhenFull.DROP_NEWEST
    fsync: Annotated[
        Seconds | None,
        setting(
            "How often what was appended is brought to the disk, to outlive a loss of power; by default when the kernel sees fit, mostly within 30 s.",
            example="1s",
            at_least="10ms",
        ),
    ] = None
    keys: Annotated[
        tuple[Secret, ...],
        setting(
            "Keys to encrypt records with while they wait, each by a name, in a file or an environment variable; by default they are not encrypted. "
            "The first one encrypts, the others are for what was encrypted with them.",
            example="2026-11=file:/etc/driftline/spool.key",
        ),
    ] = ()
    segment_size: Annotated[Bytes, setting("Size of one segment file.", at_least="256 KiB", at_most="1 GiB")] = Bytes.parse("4 MiB")


class StoreSettings(Section, frozen=True):
    """ClickHouse, embedded or a server."""

    clickhouse: Annotated[
        Endpoint | None, setting("A ClickHouse server; by default the store is embedded in the monitor.", example="http://user@clickhouse:8123/driftline")
    ] = None
    password: Annotated[
        str,
        setting(
            "The password of the server's user, in place of one in its URL; it is read for each connection.",
            unit="file",
            example="/etc/driftline/secrets/clickhouse",
        ),
    ] = ""
    batch_rows: Annotated[int, setting("Rows in one insert at most.", unit="rows", at_least="1", at_most="1000000")] = 40_000
    batch_size: Annotated[Bytes, setting("Bytes of records in one insert at most, as they lie in the spool.", at_least="64 KiB", at_most="256 MiB")] = (
        Bytes.parse("32 MiB")
    )
    batch_wait: Annotated[Seconds, setting("How long the oldest record waits for its batch to fill.")] = Seconds(1)
    cluster: Annotated[str, setting("The cluster of the server on which to make replicated and distributed tables; by default plain ones.", example="main")] = (
        ""
    )
    keep: Annotated[Seconds, setting("How long exchanges, their features and labels are kept; whole days, rounded up.", at_least="1 day")] = Seconds(
        90 * 86_400
    )
    keep_bodies: Annotated[Seconds, setting("How long the bodies of exchanges are kept, if not longer than `keep`.", at_least="1 day")] = Seconds(30 * 86_400)
    keep_results: Annotated[
        Seconds, setting("How long windows, verdicts, alerts and the audit trail are kept. Baselines are kept for good.", at_least="1 day")
    ] = Seconds(400 * 86_400)


class DriftSettings(Section, frozen=True):
    """Windows, baselines and the budget for false alerts."""

    budget: Annotated[Budget, setting("How often a false alert is acceptable, over all models together.")] = Budget.parse("1 per 30 days")
    window_rows: Annotated[int, setting("A window closes at this many rows.", unit="rows", at_least="10")] = 1_000
    window_time: Annotated[Seconds, setting("A window closes after this time if it has `window_min_rows`, else it waits for them.", at_least="1s")] = Seconds(
        600
    )
    window_min_rows: Annotated[int, setting("The fewest rows on which a window is tested.", unit="rows", at_least="10")] = 200
    event_time: Annotated[
        str,
        setting(
            "The input that says when a row happened: RFC 3339 text, or seconds, milliseconds, … since 1970; by default a row's time is its exchange's.",
            example="requested_at",
        ),
    ] = ""
    baseline_rows: Annotated[
        int, setting("Rows of first traffic from which a baseline is learned; while nothing drifts it grows to 50,000.", unit="rows", at_least="200")
    ] = 5_000
    numeric_statistics: Annotated[
        tuple[NumericStatistic, ...],
        setting(
            "What gives evidence of drift in numbers, beside the rates of what is wrong with them (docs/drift.md). Each further one asks the others for more."
        ),
    ] = (NumericStatistic.KS, NumericStatistic.WASSERSTEIN, NumericStatistic.PSI, NumericStatistic.CHI_SQUARED)
    categorical_statistics: Annotated[
        tuple[CategoricalStatistic, ...],
        setting("What gives evidence of drift in features with levels, beside the rates of what is wrong with them; likewise."),
    ] = (CategoricalStatistic.CHI_SQUARED, CategoricalStatistic.PSI)
    max_features: Annotated[int, setting("Features watched per model at most; further ones are counted.", unit="features", at_least="1")] = 1_000
    vector_width: Annotated[
        int,
        setting(
            "A tensor without column names that has so many values per row or more is watched as one vector, a narrower one value by value.",
            unit="values",
            at_least="2",
        ),
    ] = 128


class LabelSettings(Section, frozen=True):
    """What turned out to be true of predictions, said later."""

    max_unstored: Annotated[
        int, setting("Accepted labels that may wait for the store; while there are as many, further ones are answered 503.", unit="labels", at_least="1")
    ] = 1_000_000
    max_waiting: Annotated[
        int, setting("Stored labels that may wait for their exchange; beyond it the oldest is given up and counted.", unit="labels", at_least="1")
    ] = 1_000_000
    wait: Annotated[Seconds, setting("How long a label that comes before its exchange waits for it.")] = Seconds(86_400)
    baseline_rows: Annotated[
        int, setting("First labelled rows of a model from which its risk is learned, where its baseline has none.", unit="rows", at_least="500")
    ] = 1_000
    risk_tolerance: Annotated[
        Share, setting("How far the risk (for classes the error rate) may rise above the baseline's before an alert: `1%` is one point.")
    ] = Share(0.01)


class ReceiverSettings(Section, frozen=True):
    """Who is told of which alerts, and by what: one of the services below."""

    name: Annotated[str, setting("Its name, in messages and in the log.", example="on-call")]
    severity: Annotated[Severity | None, setting("Only pages, or only tickets; by default both.", example="page")] = None
    team: Annotated[str, setting("Only alerts of this team's routes; by default those of every team that no receiver names.", example="risk")] = ""
    pagerduty: Annotated[str, setting("PagerDuty: the integration's routing key (Events API v2).", unit="file", example="/etc/driftline/pagerduty.key")] = ""
    opsgenie: Annotated[str, setting("Opsgenie: the API key.", unit="file", example="/etc/driftline/opsgenie.key")] = ""
    slack: Annotated[str, setting("Slack: the URL of the incoming webhook, which is a secret.", unit="file", example="/etc/driftline/slack.url")] = ""
    email: Annotated[str, setting("Mail to this address, by `alerts.mail`.", example="oncall@example.com")] = ""
    webhook: Annotated[Endpoint | None, setting("A POST in the form of Alertmanager's webhook (version 4).", example="http://127.0.0.1:9095/hook")] = None

    @property
    def services(self) -> dict[str, str]:
        """What it is told by: the names of settings, and their values."""
        given = {"pagerduty": self.pagerduty, "opsgenie": self.opsgenie, "slack": self.slack, "email": self.email, "webhook": self.webhook}
        return {name: str(value) for name, value in given.items() if value}


class MailSettings(Section, frozen=True):
    """The server that sends mail. It must speak TLS (STARTTLS), unless it is on this machine."""

    server: Annotated[Address, setting("Where it takes mail.", example="smtp.example.com:587")]
    sender: Annotated[str, setting("The address that mail comes from.", example="driftline@example.com")]
    user: Annotated[str, setting("The name to log in with; by default without.", example="driftline")] = ""
    password: Annotated[str, setting("The password to log in with.", unit="file", example="/etc/driftline/mail.password")] = ""


class AlertSettings(Section, frozen=True):
    """Who is told."""

    webhook: Annotated[
        Endpoint | None, setting("Where alerts are sent, in the form of Alertmanager's webhook (version 4).", example="http://127.0.0.1:9095/hook")
    ] = None
    receivers: Annotated[tuple[ReceiverSettings, ...], setting("Who is told of which alerts.")] = ()
    told_by: Annotated[
        ToldBy, setting("Who tells the receivers: the `monitor`, of the alerts that it raises itself; or an `alertmanager`, by `driftline alerts routes`.")
    ] = ToldBy.MONITOR
    alertmanagers: Annotated[
        tuple[Endpoint, ...],
        setting(
            "The Alertmanagers, as a cluster, to which the monitor hands its alerts; `driftline alerts rules` then leaves these out.",
            example="http://127.0.0.1:9093",
        ),
    ] = ()
    mail: Annotated[MailSettings | None, setting("What sends the mail to receivers with `email`.")] = None
    ticket_hours: Annotated[
        Hours | None,
        setting("When tickets are told; those of other times are told when these hours begin. By default at any time.", example="mon-fri 09:00-17:00"),
    ] = None
    watchdog: Annotated[
        Endpoint | None,
        setting("What misses an alert that always fires, when Prometheus or Alertmanager do not work any more.", example="https://hc-ping.com/your-uuid"),
    ] = None
    runbook_base: Annotated[str, setting("Alerts link to this page's headings.", unit="url or path")] = "docs/runbooks/README.md"
    grafana: Annotated[str, setting("Where Grafana is: alerts link to dashboards there.", unit="url", example="https://grafana.example.com")] = ""


class TraceSettings(Section, frozen=True):
    """Spans of exchanges, made by the monitor from their records."""

    endpoint: Annotated[
        Endpoint | None, setting("Where they are sent, as OTLP over HTTP; by default none are made.", example="http://127.0.0.1:4318/v1/traces")
    ] = None
    sample: Annotated[Share, setting("The share of traces that are sent, by the trace id.")] = Share(0.01)
    failures: Annotated[bool, setting("Whether exchanges that failed are sent whatever the share.")] = True
    service: Annotated[str, setting("The name of the service that the spans are of.")] = "driftline"


class PrivacySettings(Section, frozen=True):
    """How what must not be kept as it is, is kept."""

    hash_keys: Annotated[
        tuple[Secret, ...],
        setting(
            "Secret keys of HMAC-SHA-256, each by a name, in a file or an environment variable. The first one hashes; `driftline forget` knows the others too.",
            example="2026-11=file:/etc/driftline/hash.key",
        ),
    ] = ()


class RuntimeSettings(Section, frozen=True):
    """The runtime, which serves ONNX models from a directory, by itself or behind the proxy."""

    models: Annotated[
        str,
        setting("The directory of models, MODEL/VERSION/model.onnx; by default there is no runtime.", unit="directory", example="/var/lib/driftline/models"),
    ] = ""
    listen: Annotated[
        Address | None,
        setting(
            "Where it serves; by default 127.0.0.1:8000 for `driftline runtime`, and `unix:` with `runtime.sock` in the data directory for `driftline up`.",
            example="0.0.0.0:8000",
        ),
    ] = None
    admin: Annotated[
        Address | None,
        setting(
            "Where it answers operators: metrics, and the repository API. By default where it serves for `driftline runtime`; for `driftline up` `unix:` with "
            "`runtime-admin.sock` in the data directory, where the monitor asks for the metrics.",
            example="127.0.0.1:8002",
        ),
    ] = None
    device: Annotated[Device, setting("Where models are computed: `auto` is CUDA where there is such a device.", example="cpu")] = Device.AUTO
    poll_interval: Annotated[Seconds, setting("How often the directory is looked at for new versions.", at_least="10ms")] = Seconds(2)
    max_body: Annotated[Bytes, setting("The largest request body that is accepted (413).", at_least="1 KiB")] = Bytes.parse("64 MiB")
    max_memory: Annotated[
        Bytes | None, setting("The runtime is drained and started again when it uses more; by default it may use any.", example="4 GiB", at_least="100 MB")
    ] = None
    grace: Annotated[Seconds, setting("How long a stopping runtime finishes what is in flight.")] = Seconds(20)


class GrantSettings(Section, frozen=True):
    """A role for those who are known by a name."""

    name: Annotated[str, setting("The name in their certificate, or a value of the claim.", example="ml-on-call")]
    role: Annotated[AccessRole, setting("What they may do (docs/access.md).", example="viewer")]


class TokenSettings(Section, frozen=True):
    """Tokens of an issuer (OpenID Connect, or Kubernetes): JSON Web Tokens, which must say `exp`, `iss`, `aud` and `sub`."""

    issuer: Annotated[str, setting("Who makes them (`iss`).", unit="url", example="https://id.example.com")]
    audience: Annotated[str, setting("For whom they are made (`aud`).", example="driftline")]
    jwks: Annotated[
        str,
        setting("The issuer's keys: where it publishes them, as its `jwks_uri` says, or a file.", unit="url or file", example="https://id.example.com/keys"),
    ]
    grants: Annotated[tuple[GrantSettings, ...], setting("Which value of the claim gives which role; a token without one gives none.")] = ()
    claim: Annotated[str, setting("What says who they are: a claim, also one within another, `realm_access.roles`.", example="groups")] = "roles"
    algorithms: Annotated[tuple[TokenAlgorithm, ...], setting("How they may be signed.")] = (TokenAlgorithm.RS256, TokenAlgorithm.ES256)


class AccessSettings(Section, frozen=True):
    """Who may do what at the admin address, and, with `proxy.authenticate`, who may send requests to the models."""

    keys: Annotated[
        str,
        setting("API keys by `driftline keys`, which are kept as hashes. The file is taken anew when it changes.", unit="file", example="/etc/driftline/keys"),
    ] = ""
    certificates: Annotated[
        tuple[GrantSettings, ...],
        setting("Roles of clients beside `client`, which every verified certificate gives, by its common name, else its first alternative name."),
    ] = ()
    tokens: Annotated[TokenSettings | None, setting("Tokens of an issuer; by default none are taken.")] = None
    anonymous: Annotated[
        tuple[AccessRole, ...],
        setting(
            "What anybody may do at the admin address who shows nothing. By default nothing; everything where there are no keys, which is allowed on loopback only.",
            example="viewer",
        ),
    ] = ()
    egress: Annotated[
        tuple[Hosts, ...],
        setting("Hosts that settings may have us call, beside loopback: upstreams, shadows, webhooks, the store …; by default any.", example='"*.models.svc"'),
    ] = ()
    open_paths: Annotated[
        tuple[str, ...], setting("Paths that anybody may GET through the proxy, for probes that show nothing.", example="/v2/health/ready")
    ] = ("/v2/health/live", "/v2/health/ready", "/healthz", "/readyz", "/livez", "/health", "/ping")

    @property
    def authenticates(self) -> bool:
        """Whether somebody can show who they are without a certificate."""
        return bool(self.keys or self.tokens)


class InjectorSettings(Section, frozen=True):
    """The admission webhook that puts Driftline into pods (docs/inject.md). The rest of its file is what these pods' Driftline is told."""

    listen: Annotated[Address, setting("Where the API server asks.")] = Address("", 8443)
    tls: Annotated[
        TlsSettings | None,
        setting("The certificate that is shown to the API server, such as cert-manager's; by default the injector makes and renews one itself."),
    ] = None
    name: Annotated[str, setting("The name of its Service and of its MutatingWebhookConfiguration; with `-tls` behind it, of its Secret.")] = (
        "driftline-injector"
    )
    native_sidecars: Annotated[
        bool,
        setting("Whether containers are native sidecars, as Kubernetes has them from 1.29 on. The webhook itself does without where the cluster is older."),
    ] = True
    proxy_image: Annotated[str, setting("The image of the data plane's container.", example="registry.example.com/driftline:sidecar")] = "driftline:sidecar"
    proxy_cpu: Annotated[Cores, setting("CPU that it reserves. There is no limit: one that is throttled slows what it serves.", at_least="1m")] = Cores(50)
    proxy_memory: Annotated[Memory, setting("Memory that it reserves, and uses at most.", at_least="48Mi")] = Memory.parse("128Mi")
    monitor_image: Annotated[str, setting("The image of the watching side's container.", example="registry.example.com/driftline:monitor")] = (
        "driftline:monitor"
    )
    monitor_cpu: Annotated[Cores, setting("CPU that it reserves.", at_least="1m")] = Cores(100)
    monitor_memory: Annotated[Memory, setting("Memory that it reserves, and uses at most.", at_least="256Mi")] = Memory.parse("1Gi")
    secret: Annotated[
        str,
        setting("A Secret of the pod's own namespace, whose files both containers find in /etc/driftline/secrets; where there is none, neither do they."),
    ] = "driftline"  # noqa: S105 - its name


class Settings(Section, frozen=True):
    """The whole of a configuration file."""

    admin: Annotated[Address, setting("Where the metrics, health and JSON API are served.")] = Address("127.0.0.1", 8081)
    admin_tls: Annotated[TlsSettings | None, setting("TLS at that address; by default it speaks plain HTTP.")] = None
    access: Annotated[AccessSettings, setting("Who may do what.")] = AccessSettings()
    data_dir: Annotated[
        str, setting("Where everything is kept: the spool, the embedded store, learned baselines.", unit="directory", example="/var/lib/driftline")
    ] = "driftline-data"
    watch: Annotated[
        bool,
        setting(
            "Whether the traffic is watched here. Without, what is captured is only brought into the server of `store.clickhouse` (docs/edge.md): "
            "there are no drift detectors, no labels, no alerts, and nothing is served at `admin`."
        ),
    ] = True
    proxy: Annotated[ProxySettings, setting("The data plane.")] = ProxySettings()
    routes: Annotated[tuple[RouteSettings, ...], setting("Which requests go where.")] = ()
    privacy: Annotated[PrivacySettings, setting("How what must not be kept as it is, is kept.")] = PrivacySettings()
    spool: Annotated[SpoolSettings, setting("The durable log between the data plane and the watching side.")] = SpoolSettings()
    store: Annotated[StoreSettings, setting("ClickHouse.")] = StoreSettings()
    drift: Annotated[DriftSettings, setting("Windows, tests and the budget for false alerts.")] = DriftSettings()
    labels: Annotated[LabelSettings, setting("What turned out to be true of predictions, said later.")] = LabelSettings()
    alerts: Annotated[AlertSettings, setting("Who is told.")] = AlertSettings()
    traces: Annotated[TraceSettings, setting("Spans for OpenTelemetry.")] = TraceSettings()
    runtime: Annotated[RuntimeSettings, setting("The runtime.")] = RuntimeSettings()
    injector: Annotated[InjectorSettings, setting("The admission webhook.")] = InjectorSettings()

    @property
    def admin_scheme(self) -> str:
        """By which the admin address is asked."""
        return "https" if self.admin_tls else "http"

    @property
    def admin_authenticates(self) -> bool:
        """Whether somebody can show who they are at the admin address."""
        return self.access.authenticates or bool(self.admin_tls and self.admin_tls.client_ca)

    @property
    def anonymous_roles(self) -> frozenset[AccessRole]:
        """What those may do at the admin address who show nothing, the default resolved."""
        return frozenset(self.access.anonymous) if self.access.anonymous or self.admin_authenticates else frozenset({AccessRole.ADMIN})

    @property
    def runtime_address(self) -> Address:
        """Where the runtime serves behind the proxy, its default resolved."""
        return self.runtime.listen or Address(str((Path(self.data_dir) / "runtime.sock").resolve()), 0)

    @property
    def runtime_admin(self) -> Address:
        """Where the runtime answers operators behind the proxy, its default resolved."""
        return self.runtime.admin or Address(str((Path(self.data_dir) / "runtime-admin.sock").resolve()), 0)

    @property
    def spool_directory(self) -> Path:
        """Where the spool lies, its default resolved."""
        return Path(self.spool.directory) if self.spool.directory else Path(self.data_dir) / "spool"
