"""From a request to its reply: each protocol's way of asking for the same things.

Sources: Open Inference V2 (`inference_rest.md`) with Triton's model repository extension (`extension_model_repository.md`), TensorFlow Serving's
`api_rest.md`, MLflow's `pyfunc/scoring_server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib import metadata
from typing import Any, Final, TypeAlias

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
from runtime.inference import Asker, Inference, Outcome, Result
from runtime.lane import Lane
from runtime.open_inference import JSON_LENGTH, Asked
from runtime.refusal import Refused
from runtime.reply import BINARY, JSON, Recipient, Reply
from runtime.routes import FOR_OPERATORS, Action, Target, target_of
from runtime.tally import Samples

RenderMetrics: TypeAlias = Callable[[Samples, str], tuple[bytes, str]]
"""Numbers and the Accept field to a page and its content type."""

_INFER: Final = Action.V2_INFER  # a member of an enum is looked up by name each time that it is asked for
_V1_FORM: Final = 'a JSON object with "instances" (rows) or "inputs" (columns)'
_MLFLOW_FORM: Final = "CSV, or a JSON object with one of dataframe_split, dataframe_records, instances and inputs"
_MLFLOW_CODES: Final = {404: "RESOURCE_DOES_NOT_EXIST", 503: "TEMPORARILY_UNAVAILABLE", 504: "TEMPORARILY_UNAVAILABLE", 500: "INTERNAL_ERROR"}


class Service:
    """Answers requests. Only what loads, unloads or renders is answered later than `handle` returns, beside what is computed."""

    def __init__(self, catalogue: Catalogue, render_metrics: RenderMetrics, *, for_operators: bool) -> None:
        """`for_operators` says whether what is for them (`routes.FOR_OPERATORS`) is answered too."""
        self.draining = False
        self._for_operators = for_operators
        self._catalogue = catalogue
        self._render_metrics = render_metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, head: RequestHead, body: bytes, recipient: Recipient) -> Inference | None:
        """Answer a request once, now or later; return what is computed for it."""
        target = target_of(head.target_text)
        try:
            if target.action is _INFER and head.method == b"POST":
                return self._infer(target, head, body, recipient)
            _require_method(target, head)
            return self._handle(target, head, body, recipient)
        except Refused as refused:
            recipient.respond(refusal(target, refused))
        return None

    def _infer(self, target: Target, head: RequestHead, body: bytes, recipient: Recipient) -> Inference:
        lane = self._catalogue.lane(target.model, target.version)
        named = head.named
        if b"content-encoding" in named:
            body = _plain(head, body)
        inference, asked = open_inference.read_request(body, named.get(JSON_LENGTH), lane.requests)
        return _submitted(inference, _V2Asker(lane, target, recipient, asked))

    def _handle(self, target: Target, head: RequestHead, body: bytes, recipient: Recipient) -> Inference | None:
        action = target.action
        if action in FOR_OPERATORS and not self._for_operators:
            raise Refused(404, "expected a path for clients: metrics and the model repository are answered at the address runtime.admin")
        if action is Action.V1_PREDICT:
            return self._predict(target, head, body, recipient)
        if action is Action.MLFLOW_PREDICT:
            return self._invoke(target, head, body, recipient)
        if action is Action.METRICS:
            self._later(target, recipient, self._metrics(head.named.get(b"accept", b"").decode("latin-1")))
        elif action is Action.V2_LOAD:
            self._later(target, recipient, self._load(target.model))
        elif action is Action.V2_UNLOAD:
            self._later(target, recipient, self._unload(target.model))
        else:
            recipient.respond(self._say(target))
        return None

    def _predict(self, target: Target, head: RequestHead, body: bytes, recipient: Recipient) -> Inference:
        lane = self._catalogue.lane(target.model, target.version)
        content = _plain(head, body)
        read = decoded(lambda: tensorflow_v1.decode_request(content, _body(head, body), "", ""), _V1_FORM)
        inference = inference_of(read.tensors, lane.signature, missing=lane.missing_values)
        rows = b'"inputs"' not in content or "instances" in load_object(content)  # a column may be called inputs as well
        return _submitted(inference, _V1Asker(lane, target, recipient, rows))

    def _invoke(self, target: Target, head: RequestHead, body: bytes, recipient: Recipient) -> Inference:
        lane = self._catalogue.lane(target.model, target.version) if target.model else self._catalogue.only()
        content = _plain(head, body)
        read = decoded(lambda: mlflow.decode_request(content, _body(head, body), "", ""), _MLFLOW_FORM)
        inference = inference_of(read.tensors, lane.signature, missing=lane.missing_values)
        return _submitted(inference, _RowsAsker(lane, target, recipient))

    def _say(self, target: Target) -> Reply:
        """Answer what is asked about the server and its models."""
        match target.action:
            case Action.V2_SERVER:
                extensions = ["binary_tensor_data", *(["model_repository"] if self._for_operators else []), "schedule_policy"]
                return _json({"name": "driftline", "version": metadata.version("driftline"), "extensions": extensions})
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
            case Action.SAMPLES:
                return _json(list(self._catalogue.samples()))
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

    def _later(self, target: Target, recipient: Recipient, work: Coroutine[Any, Any, Reply]) -> None:
        task = asyncio.get_running_loop().create_task(_answered(target, recipient, work))
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


async def _answered(target: Target, recipient: Recipient, work: Coroutine[Any, Any, Reply]) -> None:
    try:
        recipient.respond(await work)
    except Refused as refused:
        recipient.respond(refusal(target, refused))


class _RowsAsker(Asker):
    """Waits for outputs, and answers with them: row by row, as MLflow and V1 have them."""

    __slots__ = ("_recipient", "_target", "lane")

    def __init__(self, lane: Lane, target: Target, recipient: Recipient) -> None:
        self.lane = lane
        self._target = target
        self._recipient = recipient

    def answered(self, outcome: Outcome) -> None:
        """See Asker."""
        if isinstance(outcome, Result):
            try:
                reply = self.written(outcome)
            except Refused as refused:
                reply = refusal(self._target, refused)
        else:
            reply = refusal(self._target, outcome)
        self._recipient.respond(reply)

    def written(self, result: Result) -> Reply:
        """Return the reply with these outputs. Raises Refused."""
        return Reply(200, b'{"predictions":%b}' % by_rows(result, self.lane.signature))


class _V1Asker(_RowsAsker):
    """Likewise, by columns where it was asked by columns."""

    __slots__ = ("_rows",)

    def __init__(self, lane: Lane, target: Target, recipient: Recipient, rows: bool) -> None:
        super().__init__(lane, target, recipient)
        self._rows = rows

    def written(self, result: Result) -> Reply:
        """See _RowsAsker."""
        return super().written(result) if self._rows else Reply(200, b'{"outputs":%b}' % by_columns(result, self.lane.signature))


class _V2Asker(_RowsAsker):
    """Likewise, as Open Inference V2 has them."""

    __slots__ = ("_asked",)

    def __init__(self, lane: Lane, target: Target, recipient: Recipient, asked: Asked) -> None:
        super().__init__(lane, target, recipient)
        self._asked = asked

    def written(self, result: Result) -> Reply:
        """See _RowsAsker."""
        content, json_length = open_inference.reply(result, self._asked, self.lane.replies)
        if json_length:
            return Reply(200, content, BINARY, b"Inference-Header-Content-Length: %d\r\n" % json_length)
        return Reply(200, content)


def _submitted(inference: Inference, asker: _RowsAsker) -> Inference:
    inference.asker = asker
    asker.lane.submit(inference)
    return inference


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
