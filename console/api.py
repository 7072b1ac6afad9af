"""The JSON API, the health checks and the metrics page: one table of endpoints, each with the role that it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from aiohttp import web

from config.units import QuantityError, Seconds
from console.accepting import AcceptDesk
from console.audit import audited
from console.bodies import BodyDesk
from console.documents import alert_document, changes_document, exchange_document, model_document, model_summary, status_document, verdict_document
from console.explaining import ExplainDesk
from console.guarding import Guard, add_route, guarded, hardened
from console.metrics import MetricsPage
from console.replies import ApiError, errors_as_json, json_reply
from console.threads import StoreThreads
from records.access import AccessRole
from records.ports import Accept, EventIntake, LabelIntake, Views
from records.status import ModelStatus
from records.verdict import VerdictKind

WINDOWS_BY_DEFAULT: Final = 20
WINDOWS_AT_MOST: Final = 500
_SHORTEST_PERIOD: Final = Seconds(60)
_LONGEST_PERIOD: Final = Seconds(31 * 86_400)

_Handler: TypeAlias = Callable[["_Api", web.Request], Awaitable[web.Response]]


class Endpoint(NamedTuple):
    """One path that answers to one method."""

    path: str
    help: str
    role: AccessRole | None
    """Who may ask for it; None where anybody may, who reaches it."""
    answer: _Handler
    parameters: frozenset[str] = frozenset()
    """The query parameters that it understands; others are refused."""
    method: str = "GET"


def build_app(views: Views, take_labels: LabelIntake, take_events: EventIntake, accept: Accept, guard: Guard) -> web.Application:
    """Return the application that shows `views`, and takes labels, events and new baselines, from those who may; who reads an exchange is put on record."""
    refused: dict[str, int] = {}
    app = web.Application(middlewares=[errors_as_json, guarded(guard, refused), audited(guard.audit)])
    app.on_response_prepare.append(hardened)
    api = _Api(views, StoreThreads(app), take_labels, take_events, accept, MetricsPage(views, refused))
    for endpoint in ENDPOINTS:
        add_route(app, endpoint.method, endpoint.path, endpoint.role, _handler(api, endpoint))
    return app


def _handler(api: _Api, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        _refuse_unknown(request, endpoint.parameters)
        return await endpoint.answer(api, request)

    return handle


class _Api:
    """The answers. Views are asked on threads; those that ask the store, on threads of their own."""

    def __init__(self, views: Views, store: StoreThreads, take_labels: LabelIntake, take_events: EventIntake, accept: Accept, metrics: MetricsPage) -> None:
        self._views = views
        self._store = store
        self._take_labels = take_labels
        self._take_events = take_events
        self._bodies = BodyDesk()
        self._accepting = AcceptDesk(accept, store)
        self._explaining = ExplainDesk(views, store)
        self._metrics = metrics

    async def index(self, _: web.Request) -> web.Response:
        return json_reply({"endpoints": {endpoint.path: endpoint.help for endpoint in ENDPOINTS}})

    async def labels(self, request: web.Request) -> web.Response:
        return await self._bodies.take_labels(request, self._take_labels)

    async def events(self, request: web.Request) -> web.Response:
        return await self._bodies.take_events(request, self._take_events)

    async def health(self, _: web.Request) -> web.Response:
        return json_reply({"status": "ok"})

    async def readiness(self, _: web.Request) -> web.Response:
        reasons = await asyncio.to_thread(self._views.unready)
        return json_reply({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        page, content_type = await asyncio.to_thread(self._metrics.render, request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def status(self, _: web.Request) -> web.Response:
        return json_reply(status_document(await asyncio.to_thread(self._views.status)))

    async def models(self, _: web.Request) -> web.Response:
        models = await asyncio.to_thread(self._views.models)
        return json_reply({"models": [model_summary(model) for model in models]})

    async def model(self, request: web.Request) -> web.Response:
        return json_reply(model_document(await self._known_model(request.match_info["model"])))

    async def accept(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        await self._known_model(name)
        return await self._accepting.take(request, model=name)

    async def windows(self, request: web.Request) -> web.Response:
        name, kind, limit = request.match_info["model"], _kind(request), _limit(request)
        verdicts = await self._store.ask(self._views.windows, name, kind, limit)
        if not verdicts:
            await self._known_model(name)
        return json_reply({"model": name, "windows": [verdict_document(verdict) for verdict in verdicts]})

    async def changes(self, request: web.Request) -> web.Response:
        name, period = request.match_info["model"], _period(request)
        await self._known_model(name)
        try:
            found = await self._store.ask(self._views.changes, name, period)
        except ValueError as error:
            raise ApiError(404, f"{error}.") from error
        return json_reply(changes_document(found))

    async def explanation(self, request: web.Request) -> web.Response:
        return await self._explaining.document(request)

    async def report(self, request: web.Request) -> web.Response:
        return await self._explaining.report(request)

    async def picture(self, request: web.Request) -> web.Response:
        return await self._explaining.picture(request)

    async def alerts(self, _: web.Request) -> web.Response:
        alerts = await asyncio.to_thread(self._views.alerts)
        return json_reply({"alerts": [alert_document(alert) for alert in alerts]})

    async def exchanges(self, request: web.Request) -> web.Response:
        identifier = request.match_info["identifier"]
        exchanges = await self._store.ask(self._views.exchanges, identifier)
        if not exchanges:
            raise ApiError(404, f"No stored exchange has the exchange id or request id {identifier!r}; a recent one may still be pending: see /api/v1/status.")
        return json_reply({"exchanges": [exchange_document(exchange) for exchange in exchanges]})

    async def _known_model(self, name: str) -> ModelStatus:
        models = {model.model: model for model in await asyncio.to_thread(self._views.models)}
        if name not in models:
            raise ApiError(404, f"No model {name!r} is watched; watched now: {', '.join(sorted(models)) or 'none yet'}.")
        return models[name]


ENDPOINTS: Final = (
    Endpoint("/", "This list.", AccessRole.VIEWER, _Api.index),
    Endpoint("/healthz", "200 while the process lives.", None, _Api.health),
    Endpoint("/readyz", "200 while the watching side works, else 503 with the reasons.", None, _Api.readiness),
    Endpoint("/metrics", "Metrics in Prometheus's or OpenMetrics' text format.", AccessRole.VIEWER, _Api.metrics),
    Endpoint("/api/v1/status", "Counts, lag, writers, store, routes, shadow agreement.", AccessRole.VIEWER, _Api.status),
    Endpoint("/api/v1/models", "The watched models: state, evidence, threshold.", AccessRole.VIEWER, _Api.models),
    Endpoint("/api/v1/models/{model}", "One model, with the verdict on its latest window and every feature.", AccessRole.VIEWER, _Api.model),
    Endpoint("/api/v1/models/{model}/windows", "Verdicts on its latest windows, newest first.", AccessRole.VIEWER, _Api.windows, frozenset({"kind", "limit"})),
    Endpoint(
        "/api/v1/models/{model}/changes",
        "What changed since yesterday: its last period against the one before.",
        AccessRole.VIEWER,
        _Api.changes,
        frozenset({"period"}),
    ),
    Endpoint("/api/v1/models/{model}/baseline", "POST: accept its traffic since a time as its new baseline.", AccessRole.OPERATOR, _Api.accept, method="POST"),
    Endpoint(
        "/api/v1/models/{model}/windows/{window}/explanation",
        "Why the verdict on a window, by its index or `latest`, is what it is: baseline against now, since when, examples.",
        AccessRole.VIEWER,
        _Api.explanation,
        frozenset({"baseline"}),
    ),
    Endpoint(
        "/api/v1/models/{model}/windows/{window}/report",
        "The same as a page for people, with pictures.",
        AccessRole.VIEWER,
        _Api.report,
        frozenset({"baseline"}),
    ),
    Endpoint(
        "/api/v1/models/{model}/windows/{window}/picture",
        "One feature of it as SVG, the heaviest where none is named.",
        AccessRole.VIEWER,
        _Api.picture,
        frozenset({"baseline", "feature"}),
    ),
    Endpoint("/api/v1/alerts", "Pending, firing and lately resolved alerts.", AccessRole.VIEWER, _Api.alerts),
    Endpoint("/api/v1/exchanges/{identifier}", "A stored exchange, all arms, by exchange id or request id.", AccessRole.OPERATOR, _Api.exchanges),
    Endpoint("/api/v1/labels", "POST: what turned out to be true of predictions, as JSON, JSON Lines or CSV.", AccessRole.REPORTER, _Api.labels, method="POST"),
    Endpoint("/api/v1/cloudevents", "POST: events of KServe's and Seldon's payload loggers.", AccessRole.REPORTER, _Api.events, method="POST"),
)


def _refuse_unknown(request: web.Request, known: frozenset[str]) -> None:
    unknown = sorted(request.query.keys() - known)
    if unknown:
        raise ApiError(400, f"Unknown query parameter {unknown[0]!r}; {request.path} understands {', '.join(sorted(known)) or 'none'}.")


def _kind(request: web.Request) -> VerdictKind:
    text = request.query.get("kind", VerdictKind.DATA_DRIFT)
    try:
        return VerdictKind(text)
    except ValueError:
        raise ApiError(400, f"kind: expected {' or '.join(VerdictKind)}, found {text!r}.") from None


def _period(request: web.Request) -> Seconds:
    text = request.query.get("period", "24h")
    try:
        period = Seconds.parse(text)
    except QuantityError as error:
        raise ApiError(400, f"period: {error}.") from None
    if not _SHORTEST_PERIOD <= period <= _LONGEST_PERIOD:
        raise ApiError(400, f"period: expected from {_SHORTEST_PERIOD} to {_LONGEST_PERIOD}, found {text!r}; for example ?period=24h.")
    return period


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(WINDOWS_BY_DEFAULT))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= WINDOWS_AT_MOST):
        raise ApiError(400, f"limit: expected a whole number from 1 to {WINDOWS_AT_MOST}, found {text!r}; for example ?limit=20.")
    return int(text)
