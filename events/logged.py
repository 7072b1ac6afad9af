"""What the payload loggers of KServe and Seldon say in their events: one half of an exchange each.

KServe's two events of an exchange share `id`; Seldon's share `requestid`. Neither says the path of the request, by which formats are known, so the one is
written here that the request's body belongs to. A reply's event may carry the request's content type (KServe does so).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from events.cloudevents import CloudEvent, NotAnEventError
from records.exchange import Body

_REQUEST: Final = ".inference.request"
_RESPONSE: Final = ".inference.response"
_TYPES: Final = "org.kubeflow.serving.inference.request or .response, or io.seldon.serving.inference.request or .response"
_NAME_CHARACTERS: Final = 200


class Side(NamedTuple):
    """One side of an exchange, whatever its event's id."""

    model: str
    arm: str
    request_id: str
    is_request: bool


class Half(msgspec.Struct, frozen=True, gc=False):
    """A request, or its reply."""

    event_id: str
    request_id: str
    """What both halves share."""
    is_request: bool
    model: str
    arm: str
    """The endpoint of the service that answered, as its logger calls it."""
    at_ns: int
    """When it was logged; Unix nanoseconds, 0 where that is not said."""
    body: Body
    path: str
    """For a request: what its target must have been, as far as its body tells."""

    def side(self, *, is_request: bool) -> Side:
        """Return the identity of one side of the exchange."""
        return Side(self.model, self.arm, self.request_id, is_request)


def read_half(event: CloudEvent, body_at_most_bytes: int) -> Half:
    """Return what the event says; bodies are cut at a bound. Raises NotAnEventError."""
    attributes = event.attributes
    kind, event_id = attributes.get("type", ""), attributes.get("id", "")
    is_request = kind.endswith(_REQUEST)
    if not is_request and not kind.endswith(_RESPONSE):
        raise NotAnEventError(f"expected an event of type {_TYPES}, found {kind!r:.80}")
    if not event_id:
        raise NotAnEventError("expected an event with an id, found none")
    model = _model(attributes)
    is_json = event.data[:1] in {b"{", b"["}
    content_type = "application/json" if is_json else event.content_type
    body = Body(event.data[:body_at_most_bytes], len(event.data), len(event.data) > body_at_most_bytes, content_type[:_NAME_CHARACTERS])
    return Half(
        event_id=event_id[:_NAME_CHARACTERS],
        request_id=(attributes.get("requestid") or event_id)[:_NAME_CHARACTERS],
        is_request=is_request,
        model=model,
        arm=(attributes.get("endpoint") or "default")[:_NAME_CHARACTERS],
        at_ns=_time_ns(attributes.get("time", "")),
        body=body,
        path=_path(event.data, model, is_seldon=kind.startswith("io.seldon")) if is_request else "",
    )


def _model(attributes: Mapping[str, str]) -> str:
    """Return the model; a transformer or an explainer before it gets and answers other bodies, and is another one."""
    name, component = attributes.get("inferenceservicename") or attributes.get("modelid") or "", attributes.get("component", "")
    return (name if component in {"", "predictor"} else f"{name}-{component}")[:_NAME_CHARACTERS]


def _path(content: bytes, model: str, *, is_seldon: bool) -> str:
    name = quote(model, safe="") or "unnamed"
    if b'"instances"' in content:
        return f"/v1/models/{name}:predict"
    if b'"inputs"' in content:
        return f"/v2/models/{name}/infer"
    return "/api/v1.0/predictions" if is_seldon else "/"


def _time_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return max(0, round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6) * 1000)
