"""What must hold between settings, beyond what each must be by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from config.addresses import Address, Endpoint, Url
from config.model import ModelSettings
from config.redaction import Action, PlaceKind
from config.settings import SERVED_ARM, AlertSettings, HealthSettings, RouteSettings, Settings, SloSettings, StoreSettings, TokenSettings, UpstreamTlsSettings
from config.units import Bytes, QuantityError, Seconds
from records.metrics import DURATION_BUCKETS_SECONDS
from records.payload import Format

_TARGET: Final = re.compile(r"/[!-~]*")

_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

_FRAME: Final = 4096 + 4096 * 16
"""Bytes of a record beside bodies and heads: ids, times, names, the frame around it, and the times of an event stream's pieces."""

_NEEDED_FIELDS: Final = frozenset({"content-type", "content-encoding", "content-length", "inference-header-content-length"})

_REACHED_AS: Final = {"127.0.0.1": ("127.0.0.1", "localhost"), **dict.fromkeys(("", "::", "0.0.0.0"), ("127.0.0.1", "localhost", "::1"))}  # noqa: S104 - nothing is bound here
"""Hosts in URLs that lead to what listens at this one; any other is reached as itself."""


def problems(settings: Settings, *, routes_needed: bool) -> Iterator[tuple[str, str]]:
    """Yield the key path and the text of every broken rule."""
    if routes_needed and not settings.routes:
        yield "routes", "expected at least one route, found none; for example: routes: [{upstream: http://127.0.0.1:9000}]"
    yield from _duplicates([(f"routes[{i}].path", route.path) for i, route in enumerate(settings.routes)], "path: /v2/models/fraud")
    yield from _duplicates([(f"routes[{i}].name", route.name) for i, route in enumerate(settings.routes)], "name: fraud")
    for index, route in enumerate(settings.routes):
        yield from _route_problems(route, f"routes[{index}]")
    yield from _privacy_problems(settings)
    yield from _access_problems(settings)
    yield from _address_problems(settings)
    yield from _egress_problems(settings)
    yield from _spool_problems(settings)
    yield from _store_problems(settings.store)
    if not settings.watch and settings.store.clickhouse is None:
        yield (
            "watch",
            "expected store.clickhouse, a server to bring what is captured to, found none; for example: clickhouse: http://user@clickhouse:8123/driftline",
        )
    yield from _alert_problems(settings.alerts)
    rows, fewest = settings.drift.window_rows, settings.drift.window_min_rows
    if fewest > rows:
        yield "drift.window_min_rows", f"expected at most drift.window_rows ({rows}), found {fewest}; for example: window_min_rows: {rows}"


def model_problems(settings: ModelSettings) -> Iterator[tuple[str, str]]:
    """Yield the key path and the text of every broken rule of a model's settings."""
    instances = settings.instances
    if instances.minimum > instances.maximum:
        text = f"expected at least instances.minimum ({instances.minimum}), found {instances.maximum}; for example: maximum: {instances.minimum}"
        yield "instances.maximum", text
    for i, label in enumerate(settings.labels):
        if not _LABEL.fullmatch(label):
            yield f"labels[{i}]", f"expected letters, digits, - and _, the first one no digit, found {label!r}; for example: stable"
    if "/" in settings.samples or settings.samples.startswith("."):
        yield "samples", f"expected a file in the version's directory, found {settings.samples!r}; for example: samples: samples.json"


def _alert_problems(alerts: AlertSettings) -> Iterator[tuple[str, str]]:
    yield from _duplicates([(f"alerts.receivers[{i}].name", receiver.name) for i, receiver in enumerate(alerts.receivers)], "name: on-call")
    for i, receiver in enumerate(alerts.receivers):
        if len(receiver.services) != 1:
            found = " and ".join(receiver.services) or "none"
            yield (
                f"alerts.receivers[{i}]",
                f"expected one of pagerduty, opsgenie, slack, email and webhook, found {found}; for example: email: oncall@example.com",
            )
        if receiver.email and alerts.mail is None:
            yield (
                f"alerts.receivers[{i}].email",
                "expected alerts.mail to send it with, found none; for example: mail: {server: smtp.example.com:587, sender: driftline@example.com}",
            )


def _slo_problems(slo: SloSettings, key: str) -> Iterator[tuple[str, str]]:
    if slo.latency is not None and slo.latency not in DURATION_BUCKETS_SECONDS:
        bounds = ", ".join(str(Seconds(bound)) for bound in DURATION_BUCKETS_SECONDS)
        yield f"{key}.latency", f"expected one of the bounds that durations are counted by ({bounds}), found {slo.latency}; for example: latency: 250ms"
    for name, share in (("availability", slo.availability), ("latency_share", slo.latency_share)):
        if share >= 1:
            yield f"{key}.{name}", f"expected less than 100%, which leaves no budget to alert on, found {share}; for example: {name}: 99.9%"


def _store_problems(store: StoreSettings) -> Iterator[tuple[str, str]]:
    if store.password and (store.clickhouse is None or not store.clickhouse.user or store.clickhouse.password):
        example = "for example: clickhouse: http://driftline@clickhouse:8123"
        yield "store.password", f"expected store.clickhouse to name a user and no password, found {str(store.clickhouse or 'none')!r}; {example}"
    if store.cluster and not store.clickhouse:
        yield (
            "store.cluster",
            "expected store.clickhouse too, for the embedded store has no cluster, found none; for example: clickhouse: http://clickhouse:8123",
        )


def _route_problems(route: RouteSettings, key: str) -> Iterator[tuple[str, str]]:
    if not route.path.startswith("/"):
        yield f"{key}.path", f"expected a path that starts with /, found {route.path!r}; for example: path: /v2/models/fraud"
    if not route.name:
        yield f"{key}.name", "expected a name, found ''; for example: name: fraud"
    for name, expression in (("features", route.features), ("predictions", route.predictions)):
        if expression and route.format is not Format.JSON:
            yield f"{key}.{name}", f"expected format: json beside an expression, found {expression!r}; add format: json, or remove it"
    arms = [(f"{key}.upstream", SERVED_ARM), *((f"{key}.shadows[{i}].name", shadow.name) for i, shadow in enumerate(route.shadows))]
    yield from _duplicates(arms, "name: candidate")
    yield from _upstream_problems(route.upstream, f"{key}.upstream")
    yield from _slo_problems(route.slo, f"{key}.slo")
    yield from _health_problems(route.health, f"{key}.health")
    yield from _tls_problems(route.tls, route.upstream, f"{key}.tls")
    for i, shadow in enumerate(route.shadows):
        yield from _upstream_problems(shadow.url, f"{key}.shadows[{i}].url")
        yield from _health_problems(shadow.health, f"{key}.shadows[{i}].health")
        yield from _tls_problems(shadow.tls, shadow.url, f"{key}.shadows[{i}].tls")


def _upstream_problems(urls: Sequence[Url], key: str) -> Iterator[tuple[str, str]]:
    """Endpoints of one upstream are interchangeable: each may get any of its requests."""
    first = urls[0]
    for i, url in enumerate(urls[1:], start=1):
        if url in urls[:i]:
            yield f"{key}[{i}]", f"expected each endpoint once, found {str(url)!r} again; remove it"
        elif (url.tls, url.path) != (first.tls, first.path):
            yield f"{key}[{i}]", f"expected the scheme and the path of {str(first)!r}, found {str(url)!r}; make a route of its own for it, or write both alike"


def _health_problems(health: HealthSettings | None, key: str) -> Iterator[tuple[str, str]]:
    if health is None:
        return
    if not _TARGET.fullmatch(health.path):
        yield f"{key}.path", f"expected a path that starts with /, in ASCII without spaces, found {health.path!r}; for example: path: /v2/health/ready"
    if health.timeout > health.interval:
        yield f"{key}.timeout", f"expected at most the interval ({health.interval}), found {health.timeout}; for example: timeout: {health.interval}"


def _tls_problems(tls: UpstreamTlsSettings, urls: Sequence[Url], key: str) -> Iterator[tuple[str, str]]:
    if tls != UpstreamTlsSettings() and not urls[0].tls:
        yield key, f"expected an https:// URL for these settings, found {str(urls[0])!r}; change the URL, or remove them"
    if tls.certificate and not tls.key:
        yield f"{key}.key", f"expected the private key of {tls.certificate}, found none; for example: key: /etc/driftline/proxy.key"
    if tls.key and not tls.certificate:
        yield f"{key}.certificate", f"expected the certificate of {tls.key}, found none; for example: certificate: /etc/driftline/proxy.crt"


def _privacy_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    keys = settings.privacy.hash_keys
    example = "privacy: {hash_keys: 2026-11=file:/etc/driftline/hash.key}"
    yield from _duplicates([("privacy.hash_keys", key.name) for key in keys], example)
    for index, route in enumerate(settings.routes):
        rules = [f"routes[{index}].redact[{i}].do" for i, rule in enumerate(route.redact) if rule.do is Action.HASH]
        for where in (*rules, *([f"routes[{index}].subject"] if route.subject else [])):
            if not keys:
                yield where, f"expected a key to hash with in privacy.hash_keys, found none; for example: {example}"
        for i, rule in enumerate(route.redact):
            if rule.at.kind is PlaceKind.HEADER and rule.at.name in _NEEDED_FIELDS:
                yield (
                    f"routes[{index}].redact[{i}].at",
                    f"expected another field than {rule.at.name}, without which no body can be read; use capture: heads to keep none",
                )
        if route.label_key and route.label_key.kind is PlaceKind.TENSOR:
            yield f"routes[{index}].label_key", f"expected a place that is no tensor, found {str(route.label_key)!r}; for example: label_key: $.order_id"
        if route.subject and route.subject.kind is PlaceKind.TENSOR:
            yield f"routes[{index}].subject", f"expected a place that is no tensor, found {str(route.subject)!r}; for example: subject: $.parameters.customer"


def _access_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    proxy, access = settings.proxy, settings.access
    if proxy.authenticate and not access.authenticates and not (proxy.tls and proxy.tls.client_ca):
        yield "proxy.authenticate", "expected something by which clients can show who they are, found none; for example: access: {keys: /etc/driftline/keys}"
    if not settings.admin.is_loopback and not settings.admin_authenticates and not access.anonymous:
        ways = "make keys with `driftline keys make` and set access: {keys: /etc/driftline/keys}, or say what anybody may do, for example: access: {anonymous: viewer}"
        yield "admin", f"expected an address on loopback, for nobody has to show who they are, found {str(settings.admin)!r}; {ways}"
    if access.tokens:
        yield from _token_problems(access.tokens)
    for i, path in enumerate(access.open_paths):
        if not _TARGET.fullmatch(path):
            yield f"access.open_paths[{i}]", f"expected a path that starts with /, in ASCII without spaces, found {path!r}; for example: /v2/health/ready"


def _token_problems(tokens: TokenSettings) -> Iterator[tuple[str, str]]:
    if not tokens.grants:
        yield (
            "access.tokens.grants",
            "expected at least one, for without one a token gives no role, found none; for example: grants: [{name: ml-on-call, role: operator}]",
        )
    if "://" not in tokens.jwks:
        return
    try:
        url = Endpoint.parse(tokens.jwks)
    except QuantityError as error:
        yield "access.tokens.jwks", f"expected {error.expected}, or a file, found {error.shown}; for example: jwks: https://id.example.com/keys"
        return
    if not url.tls and not Address(url.host, 0).is_loopback:
        yield (
            "access.tokens.jwks",
            f"expected an https:// URL, for whoever is on the way could make keys, found {tokens.jwks!r}; for example: jwks: https://id.example.com/keys",
        )


def _address_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    listen, admin = settings.proxy.listen, settings.admin
    if listen.port and listen == admin:
        yield "admin", f"expected another address than proxy.listen, found {str(admin)!r}; for example: admin: 127.0.0.1:8081"
    if admin.is_unix:
        yield "admin", f"expected an address HOST:PORT, found {str(admin)!r}; for example: admin: 127.0.0.1:8081"
    for i, route in enumerate(settings.routes):
        arms = [(f"routes[{i}].upstream", route.upstream), *((f"routes[{i}].shadows[{j}].url", shadow.url) for j, shadow in enumerate(route.shadows))]
        for key, url in ((key, url) for key, urls in arms for url in urls):
            if url.port == listen.port and url.host in _REACHED_AS.get(listen.host, (listen.host,)):
                yield key, f"expected another address than proxy.listen ({listen}), which would forward to itself, found {str(url)!r}; change one of the two"


def _egress_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """Nothing is called that is not allowed, whoever wrote the rest of the settings: in pods that is whoever wrote their annotations."""
    allowed = settings.access.egress
    for key, host in _called(settings) if allowed else ():
        if not Address(host, 0).is_loopback and not any(hosts.include(host) for hosts in allowed):
            yield key, f"expected a host that access.egress allows ({', '.join(map(str, allowed))}), found {host!r}; change it, or allow it"


def _called(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the key of every setting that has us call something, and the host."""
    alerts, tokens = settings.alerts, settings.access.tokens
    for i, route in enumerate(settings.routes):
        arms = [(f"routes[{i}].upstream", route.upstream), *((f"routes[{i}].shadows[{j}].url", shadow.url) for j, shadow in enumerate(route.shadows))]
        yield from ((key, url.host) for key, urls in arms for url in urls)
    endpoints = [
        ("store.clickhouse", settings.store.clickhouse),
        ("alerts.webhook", alerts.webhook),
        ("alerts.watchdog", alerts.watchdog),
        ("traces.endpoint", settings.traces.endpoint),
        *((f"alerts.receivers[{i}].webhook", receiver.webhook) for i, receiver in enumerate(alerts.receivers)),
        *((f"alerts.alertmanagers[{i}]", url) for i, url in enumerate(alerts.alertmanagers)),
    ]
    yield from ((key, url.host) for key, url in endpoints if url is not None)
    if alerts.mail:
        yield "alerts.mail.server", alerts.mail.server.host
    if tokens and "://" in tokens.jwks:
        with suppress(QuantityError):  # which is told already
            yield "access.tokens.jwks", Endpoint.parse(tokens.jwks).host


def _spool_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    segment, capture, head = settings.spool.segment_size, settings.proxy.capture, settings.proxy.max_head
    if 2 * (capture + head) + _FRAME > segment:
        example = Bytes(max(0, (segment - _FRAME) // 2 - head))
        yield (
            "proxy.capture",
            f"expected two bodies and two heads ({head}) to fit into spool.segment_size ({segment}), found {capture}; for example: capture: {example}",
        )
    if settings.spool.max_size < 2 * segment:
        yield "spool.max_size", f"expected at least two segments ({Bytes(2 * segment)}), found {settings.spool.max_size}; for example: max_size: 2 GiB"


def _duplicates(values: Sequence[tuple[str, str]], example: str) -> Iterator[tuple[str, str]]:
    """Yield a problem for every value that an earlier key has as well."""
    first: dict[str, str] = {}
    for key, value in values:
        if value in first:
            yield key, f"expected values that differ, found {value!r} as in {first[value]}; for example: {example}"
        first.setdefault(value, key)
