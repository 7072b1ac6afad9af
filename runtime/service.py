"""From a request to its reply: each protocol's way of asking for the same things.

Sources: Open Inference V2 (`inference_rest.md`) with Triton's model repository extension (`extension_model_repository.md`), TensorFlow Serving's
`api_rest.md`, MLflow's `pyfunc/scoring_server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import metadata
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from http1.request import RequestHead
from payloads import mlflow, tensorflow_v1
from payloads.content_coding import decompress
from payloads.json_documents import load_object
from payloads.refusal import Refused as Undecoded
from records.exchange import Body
from runtime import open_inference
from runtime.catalogue import Catalogue, Listed, State
from runtime.columns import by_columns, by_rows, decoded, inference_of
from runtime.inference import Inference, Outcome, Result
from runtime.lane import Lane
from runtime.open_inference import BINARY, JSON, JSON_LENGTH, Asked
from runtime.refusal import Refused
from runtime.routes import Action, Target, target_of
from runtime.tally import Samples

RenderMetrics: TypeAlias = Callable[[Samples, str], tuple[bytes, str]]
"""Numbers and the Accept field to a page and its content type."""

_V1_FORM: Final = 'a JSON object with "instances" (rows) or "inputs" (columns)'
_MLFLOW_FORM: Final = "CSV, or a JSON object with one of dataframe_split, dataframe_records, instances and inputs"
_MLFLOW_CODES: Final = {404: "RESOURCE_DOES_NOT_EXIST", 503: "TEMPORARILY_UNAVAILABLE", 504: "TEMPORARILY_UNAVAILABLE", 500: "INTERNAL_ERROR"}


class Reply(NamedTuple):
    """What is answered."""

    status: int
    content: bytes
    content_type: bytes = JSON
    fields: bytes = b""
    """Further lines of the head, each with its end."""


Respond: TypeAlias = Callable[[Reply], None]


class Service:
    """Answers requests. Only what loads, unloads or renders is answered later than `handle` returns, beside what is computed."""

    def __init__(self, catalogue: Catalogue, render_metrics: RenderMetrics) -> None:
        self.draining = False
        self._catalogue = catalogue
        self._render_metrics = render_metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, head: RequestHead, body: bytes, respond: Respond) -> Inference | None:
        """Answer a request by calling `respond` once, now or later; return what is computed for it."""
        target = target_of(head.target_text)
        try:
            if target.action is Action.V2_INFER and head.method == b"POST":
                return self._infer(target, head, body, respond)
            _require_method(target, head)
            return self._handle(target, head, body, respond)
        except Refused as refused:
            respond(refusal(target, refused))
        return None

    def _infer(self, target: Target, head: RequestHead, body: bytes, respond: Respond) -> Inference:
        lane = self._catalogue.lane(target.model, target.version)
        named = head.named
        if b"content-encoding" in named:
            body = _plain(head, body)
        inference, asked = open_inference.read_request(body, named.get(JSON_LENGTH), lane.signature, missing=lane.missing_values)
        return _submit(lane, inference, partial(_v2_reply, lane, asked), target, respond)

    def _handle(self, target: Target, head: RequestHead, body: bytes, respond: Respond) -> Inference | None:
        action = target.action
        if action is Action.V1_PREDICT:
            return self._predict(target, head, body, respond)
        if action is Action.MLFLOW_PREDICT:
            return self._invoke(target, head, body, respond)
        if action is Action.METRICS:
            self._later(target, respond, self._metrics(head.named.get(b"accept", b"").decode("latin-1")))
        elif action is Action.V2_LOAD:
            self._later(target, respond, self._load(target.model))
        elif action is Action.V2_UNLOAD:
            self._later(target, respond, self._unload(target.model))
        else:
            respond(self._say(target))
        return None

    def _predict(self, target: Target, head: RequestHead, body: bytes, respond: Respond) -> Inference:
        lane = self._catalogue.lane(target.model, target.version)
        content = _plain(head, body)
        read = decoded(lambda: tensorflow_v1.decode_request(content, _body(head, body), "", ""), _V1_FORM)
        inference = inference_of(read.tensors, lane.signature, missing=lane.missing_values)
        rows = b'"inputs"' not in content or "instances" in load_object(content)  # a column may be called inputs as well
        return _submit(lane, inference, partial(_v1_reply, lane, rows), target, respond)

    def _invoke(self, target: Target, head: RequestHead, body: bytes, respond: Respond) -> Inference:
        lane = self._catalogue.lane(target.model, target.version) if target.model else self._catalogue.only()
        content = _plain(head, body)
        read = decoded(lambda: mlflow.decode_request(content, _body(head, body), "", ""), _MLFLOW_FORM)
        inference = inference_of(read.tensors, lane.signature, missing=lane.missing_values)
        return _submit(lane, inference, partial(_mlflow_reply, lane), target, respond)

    def _say(self, target: Target) -> Reply:
        """Answer what is asked about the server and its models."""
        match target.action:
            case Action.V2_SERVER:
                return _json(
                    {"name": "driftline", "version": metadata.version("driftline"), "extensions": ["binary_tensor_data", "model_repository", "schedule_policy"]}
                )
            case Action.V2_LIVE:
                return _json({"live": True})
            case Action.V2_READY | Action.MLFLOW_PING:
                return _ready(self._catalogue.ready and not self.draining)
            case Action.V2_MODEL:
                return _json(self._describe(target))
            case Action.V2_MODEL_READY:
                lane = self._catalogue.lane(target.model, target.version)
                return _json({"name": target.model, "ready": not lane.fault}, 503 if lane.fault else 200)
            case Action.V2_INDEX:
                return _json([_listed(each) for each in self._catalogue.index()])
            case Action.V1_STATUS:
                return _json(self._v1_status(target))
            case Action.MLFLOW_VERSION:
                return Reply(200, metadata.version("driftline").encode(), b"text/plain")
        raise Refused(404, "expected a path of Open Inference V2, TensorFlow Serving's V1 or MLflow; docs/runtime.md has them")

    def _describe(self, target: Target) -> dict[str, Any]:
        lane = self._catalogue.lane(target.model, target.version)
        specs = {
            side: [{"name": spec.name, "datatype": spec.datatype, "shape": spec.sizes} for spec in tensors]
            for side, tensors in (("inputs", lane.signature.inputs), ("outputs", lane.signature.outputs))
        }
        about = {"uuid": str(lane.version.uuid), "version": lane.number, "labels": list(lane.version.settings.labels), "device": str(lane.device)}
        return {"name": target.model, "versions": self._catalogue.versions(target.model), "platform": "onnxruntime_onnx", **specs, "parameters": about}

    def _v1_status(self, target: Target) -> dict[str, Any]:
        lane = self._catalogue.lane(target.model, target.version)
        listed = [each for each in self._catalogue.index() if each.model == target.model and (not target.version or each.version == lane.number)]
        return {
            "model_version_status": [
                {
                    "version": each.version,
                    "state": "AVAILABLE" if each.state is State.READY else "END",
                    "status": {"error_code": "UNKNOWN" if each.reason else "OK", "error_message": each.reason},
                }
                for each in listed
            ]
        }

    def _later(self, target: Target, respond: Respond, work: Coroutine[Any, Any, Reply]) -> None:
        task = asyncio.get_running_loop().create_task(_answered(target, respond, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _metrics(self, accept: str) -> Reply:
        page, content_type = await asyncio.to_thread(self._render_metrics, dict(self._catalogue.samples()), accept)
        return Reply(200, page, content_type.encode())

    async def _load(self, model: str) -> Reply:
        await self._catalogue.load(model)
        return Reply(200, b"{}")

    async def _unload(self, model: str) -> Reply:
        await self._catalogue.unload(model)
        return Reply(200, b"{}")


def refusal(target: Target, refused: Refused) -> Reply:
    """Return an error in the form of the protocol that the target belongs to."""
    fields = b"Retry-After: %d\r\n" % refused.retry_after_seconds if refused.retry_after_seconds else b""
    if target.action in {Action.MLFLOW_PREDICT, Action.MLFLOW_PING, Action.MLFLOW_VERSION}:
        code = _MLFLOW_CODES.get(refused.status, "BAD_REQUEST")
        return Reply(refused.status, orjson.dumps({"error_code": code, "message": refused.text}), JSON, fields)
    return Reply(refused.status, open_inference.error(refused.text), JSON, fields)


async def _answered(target: Target, respond: Respond, work: Coroutine[Any, Any, Reply]) -> None:
    try:
        respond(await work)
    except Refused as refused:
        respond(refusal(target, refused))


def _submit(lane: Lane, inference: Inference, write: Callable[[Result], Reply], target: Target, respond: Respond) -> Inference:
    def answer(outcome: Outcome) -> None:
        if isinstance(outcome, Refused):
            respond(refusal(target, outcome))
            return
        try:
            reply = write(outcome)
        except Refused as refused:
            reply = refusal(target, refused)
        respond(reply)

    inference.answer = answer
    lane.submit(inference)
    return inference


def _v2_reply(lane: Lane, asked: Asked, result: Result) -> Reply:
    content, json_length = open_inference.reply(result, asked, lane.signature, lane.version.model, lane.number)
    if json_length:
        return Reply(200, content, BINARY, b"Inference-Header-Content-Length: %d\r\n" % json_length)
    return Reply(200, content)


def _v1_reply(lane: Lane, rows: bool, result: Result) -> Reply:
    if rows:
        return Reply(200, b'{"predictions":%s}' % by_rows(result, lane.signature))
    return Reply(200, b'{"outputs":%s}' % by_columns(result, lane.signature))


def _mlflow_reply(lane: Lane, result: Result) -> Reply:
    return Reply(200, b'{"predictions":%s}' % by_rows(result, lane.signature))


def _require_method(target: Target, head: RequestHead) -> None:
    asked = "GET" if head.method == b"HEAD" else head.method_text
    if target.action is not Action.UNKNOWN and asked != target.method:
        raise Refused(405, f"expected the method {target.method}, found {head.method_text[:20]}")


def _plain(head: RequestHead, body: bytes) -> bytes:
    coding = head.named.get(b"content-encoding", b"")
    try:
        return decompress(body, coding.decode("latin-1")) if coding else body
    except Undecoded:
        raise Refused(
            400, "expected a body whole, in a content coding that is known, and not above its bound once decoded; or without a content coding"
        ) from None


def _body(head: RequestHead, body: bytes) -> Body:
    return Body(content=body, size_bytes=len(body), content_type=head.named.get(b"content-type", b"").decode("latin-1"))


def _json(document: Any, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(document))


def _ready(ready: bool) -> Reply:
    return _json({"ready": ready}, 200 if ready else 503)


def _listed(each: Listed) -> dict[str, str]:
    return {"name": each.model, "version": each.version, "state": each.state.value, "reason": each.reason}
