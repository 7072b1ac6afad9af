"""What commands ask of a running monitor, on a unix socket that only the owner of the data directory can open.

The embedded store has one owner process: while a monitor holds it, `driftline sql` and others ask here.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from console.accepting import AcceptDesk
from console.audit import audited
from console.bodies import BodyDesk
from console.forgetting import ForgetDesk
from console.replies import ApiError, errors_as_json
from console.threads import StoreThreads
from records.ports import Accept, Audit, Forget, LabelIntake, QueryFailedError, QueryRefusedError, ReadOnlySql

_EXAMPLE = '{"query": "SELECT count() FROM exchanges", "format": "JSONEachRow"}'


class SqlQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /sql."""

    query: str
    format: str


def build_socket_app(ask: ReadOnlySql, take_labels: LabelIntake, forget: Forget, accept: Accept, audit: Audit) -> web.Application:
    """Return the application that answers POST /sql with the bytes that `ask` returns, and takes POST /labels, POST /forget and POST /accept."""
    app = web.Application(middlewares=[errors_as_json, audited(audit)])
    store = StoreThreads(app)
    bodies = BodyDesk()

    async def answer(request: web.Request) -> web.Response:
        question = _parse(await request.read())
        try:
            result = await store.ask(ask, question.query, question.format)
        except QueryRefusedError as error:
            raise ApiError(400, str(error)) from error
        except QueryFailedError as error:
            raise ApiError(422, str(error)) from error
        return web.Response(body=result, content_type="application/octet-stream")

    app.router.add_post("/sql", answer)

    async def labels(request: web.Request) -> web.Response:
        return await bodies.take_labels(request, take_labels)

    app.router.add_post("/labels", labels)
    app.router.add_post("/forget", ForgetDesk(forget, store).take)
    app.router.add_post("/accept", AcceptDesk(accept, store).take)
    return app


def _parse(body: bytes) -> SqlQuestion:
    try:
        return msgspec.json.decode(body, type=SqlQuestion)
    except msgspec.MsgspecError as error:
        raise ApiError(400, f"Expected JSON such as {_EXAMPLE}: {error}.") from error
