"""Why a verdict is what it is: as JSON, as a picture of one feature, and as a page for people."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from console.documents import explanation_document
from console.guarding import NOT_FRAMED
from console.picture import picture
from console.replies import ApiError, json_reply
from console.report import report
from console.threads import StoreThreads
from records.explanation import Explanation, FeatureExplanation
from records.ports import Views

LATEST: Final = "latest"

# Names of features and levels are strangers' texts: were one to slip through as markup, nothing would run.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; {NOT_FRAMED}",
    "X-Content-Type-Options": "nosniff",
}


class ExplainDesk:
    """Answers of an explanation's endpoints."""

    def __init__(self, views: Views, store: StoreThreads) -> None:
        self._views = views
        self._store = store

    async def document(self, request: web.Request) -> web.Response:
        """Return the explanation as JSON, with links to its pictures."""
        explanation = await self._explanation(request)
        return json_reply(explanation_document(explanation) | {"report": path_of(explanation, "report"), "pictures": _pictures(explanation)})

    async def report(self, request: web.Request) -> web.Response:
        """Return it as a page."""
        page = report(await self._explanation(request), lambda exchange_id: f"/api/v1/exchanges/{quote(exchange_id)}")
        return web.Response(body=page.encode(), content_type="text/html", charset="utf-8", headers=_HEADERS)

    async def picture(self, request: web.Request) -> web.Response:
        """Return the picture of one feature, of the heaviest where none is named."""
        explanation = await self._explanation(request)
        feature = _feature(explanation, request.query.get("feature"))
        return web.Response(body=picture(explanation, feature).encode(), content_type="image/svg+xml", charset="utf-8", headers=_HEADERS)

    async def _explanation(self, request: web.Request) -> Explanation:
        model, window, baseline_id = request.match_info["model"], request.match_info["window"], request.query.get("baseline")
        found = await self._store.ask(self._views.explanation, model, _index(window), baseline_id)
        if found is None:
            against = f" against the baseline {baseline_id!r}" if baseline_id else ""
            which = f"no window{against}" if window == LATEST else f"no window {window}{against}"
            raise ApiError(
                404, f"The model {model!r} has {which} that is stored with its baseline; /api/v1/models/{quote(model, safe='')}/windows lists windows."
            )
        return found


def path_of(explanation: Explanation, kind: str, **more: str) -> str:
    """Return where one kind of answer about this window is."""
    window = f"/api/v1/models/{quote(explanation.model, safe='')}/windows/{explanation.index}"
    return f"{window}/{kind}?{urlencode({'baseline': explanation.baseline_id, **more})}"


def _pictures(explanation: Explanation) -> dict[str, str]:
    return {each.feature: path_of(explanation, "picture", feature=each.feature) for each in explanation.features}


def _feature(explanation: Explanation, name: str | None) -> FeatureExplanation:
    known = {each.feature: each for each in explanation.features}
    if not known:
        raise ApiError(404, "No feature carries evidence in this window: there is nothing to draw.")
    if name is not None and name not in known:
        raise ApiError(404, f"feature: {name!r} carries no evidence in this window; those that do: {', '.join(known)}.")
    return known[name] if name is not None else explanation.features[0]


def _index(window: str) -> int | None:
    if window == LATEST:
        return None
    if not (window.isascii() and window.isdigit() and len(window) < 19):
        raise ApiError(400, f"expected a window's index or {LATEST!r}, found {window!r}; for example /windows/{LATEST}/explanation.")
    return int(window)
