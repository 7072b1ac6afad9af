"""An exchange as spans, by OpenTelemetry's semantic conventions for HTTP and generative AI (1.37).

    the caller's span
    └─ served      SERVER  `POST fraud`   from the request's head until the reply was whole
       ├─ upstream CLIENT  `POST`         from when it had a connection
       └─ shadow   CLIENT  `POST`         likewise, for each shadow

https://opentelemetry.io/docs/specs/semconv/http/http-spans/ · https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from records.exchange import Exchange, Role
from records.ids import format_uuid, span_id
from records.payload import Decoded, DecodeResult, Format
from traces.sampling import failed

Attributes: TypeAlias = dict[str, str | int | float | bool]

_TOKENS: Final = {"prompt_tokens": "gen_ai.usage.input_tokens", "completion_tokens": "gen_ai.usage.output_tokens"}
_OPERATIONS: Final = {"/chat/completions": "chat", "/completions": "text_completion", "/embeddings": "embeddings"}


class Span(NamedTuple):
    """One span, before any SDK. Ids are numbers of 128 and 64 bits, 0 for none; times Unix nanoseconds."""

    trace_id: int
    span_id: int
    parent_id: int
    name: str
    is_server: bool
    started_at_ns: int
    ended_at_ns: int
    attributes: Attributes
    error: str
    """What failed; empty where nothing did."""
    first_byte_at_ns: int
    """0 where the reply had none."""


def trace_id_of(exchange: Exchange) -> int:
    """Return the caller's trace id, else the exchange's own id, which begins a trace."""
    return int(exchange.trace_id, 16) if exchange.trace_id else int.from_bytes(exchange.exchange_id)


def spans_of(exchange: Exchange, response: DecodeResult, model: str, version: str) -> Iterator[Span]:
    """Yield the spans of one exchange by one arm; `response` is its reply, decoded."""
    trace_id, served_id = trace_id_of(exchange), int(span_id(exchange.exchange_id, ""), 16)
    ended_at_ns = exchange.started_at_ns + max(exchange.total_ns, 0)
    first_byte_at_ns = exchange.started_at_ns + exchange.first_byte_ns if exchange.first_byte_ns >= 0 else 0
    asked = {**_http(exchange), **_driftline(exchange, model, version)}
    error = _error(exchange)
    if exchange.role is Role.SERVED:
        parent_id = int(exchange.span_id, 16) if exchange.span_id else 0
        name = f"{exchange.method} {exchange.route}".strip()
        own = {**asked, "http.route": exchange.route, "client.address": exchange.client}
        yield Span(trace_id, served_id, parent_id, name, True, exchange.started_at_ns, ended_at_ns, own, error, first_byte_at_ns)
    if exchange.queue_ns >= 0:  # it had a connection
        began_ns = exchange.started_at_ns + exchange.queue_ns
        attributes = {**asked, **_gen_ai(exchange, response, model), "driftline.arm": exchange.arm, "driftline.role": exchange.role.value}
        # A client takes any status from 400 on for an error, a server only its own (HTTP conventions, “Status”).
        error = error or (str(exchange.status) if exchange.status >= 400 else "")
        yield Span(
            trace_id,
            int(span_id(exchange.exchange_id, exchange.arm), 16),
            served_id,
            exchange.method,
            False,
            began_ns,
            ended_at_ns,
            attributes,
            error,
            first_byte_at_ns,
        )


def _http(exchange: Exchange) -> Attributes:
    return {
        "http.request.method": exchange.method,
        "url.path": exchange.path.partition("?")[0],
        "http.response.status_code": exchange.status,
        "http.request.body.size": exchange.request.size_bytes,
        "http.response.body.size": exchange.response.size_bytes,
    }


def _driftline(exchange: Exchange, model: str, version: str) -> Attributes:
    return {
        "driftline.exchange_id": format_uuid(exchange.exchange_id),
        "driftline.request_id": exchange.request_id,
        "driftline.route": exchange.route,
        "driftline.model": model,
        "driftline.version": version,
    }


def _error(exchange: Exchange) -> str:
    """Return `error.type`: what went wrong on the way, else a status of the service's own failure."""
    if not failed(exchange):
        return ""
    return exchange.error.value or str(exchange.status)


def _gen_ai(exchange: Exchange, response: DecodeResult, model: str) -> Attributes:
    if not isinstance(response, Decoded) or response.format != Format.OPENAI:
        return {}
    path = exchange.path.partition("?")[0].rstrip("/")
    operation = next((name for end, name in _OPERATIONS.items() if path.endswith(end)), "chat")
    tokens = {_TOKENS[tensor.name]: tensor.values[0] for tensor in response.tensors if tensor.name in _TOKENS and tensor.values}
    return {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai", "gen_ai.response.model": response.model or model, **tokens}
