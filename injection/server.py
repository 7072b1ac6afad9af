"""HTTPS for the API server, the kubelet and Prometheus."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from aiohttp import web

from injection.patching import Injection
from injection.review import MAX_BODY_BYTES, NotAReviewError, Outcome, answer

_log: Final = logging.getLogger(__name__)

Page = Callable[[Counter[Outcome], str], tuple[bytes, str]]
"""From what was counted, and the Accept field, to the metrics page and its type."""


def build_app(injection: Injection, page: Page) -> web.Application:
    """Return what answers reviews."""
    counts: Counter[Outcome] = Counter()

    async def inject(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            found = answer(body, injection)
        except NotAReviewError as error:
            counts[Outcome.MALFORMED] += 1
            _log.warning("not answered: %s", error)
            return web.json_response({"error": str(error)}, status=400)
        counts[found.outcome] += 1
        return web.Response(body=found.body, content_type="application/json")

    async def healthy(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def metrics(request: web.Request) -> web.Response:
        body, kind = page(counts, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/inject", inject)
    app.router.add_get("/healthz", healthy)
    app.router.add_get("/metrics", metrics)
    return app
