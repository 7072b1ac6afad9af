"""AdmissionReview (admission.k8s.io/v1): a request's bytes to a reply's. Whatever is asked, the pod is allowed: at worst it comes without Driftline."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from injection.operations import Operation
from injection.patching import Injection, patch
from injection.pod import Pod

MAX_BODY_BYTES: Final = 8 << 20
"""etcd takes no pod beyond 1.5 MiB, and the API server no request beyond 3."""

_MOST_WARNING_CHARACTERS: Final = 2000
"""The API server cuts what is longer than 4096 in all."""


class Outcome(StrEnum):
    """What became of a review: the values of the label `outcome` of `driftline_injector_reviews_total`."""

    INJECTED = "injected"  # the pod has Driftline now
    UNCHANGED = "unchanged"  # it has it already, or wants none, or serves nothing
    REFUSED = "refused"  # Driftline cannot stand before it as it is; its annotation driftline.dev/warnings says why
    MALFORMED = "malformed"  # not a review of a pod


class NotAReviewError(ValueError):
    """The body is not a question that there is an answer to; the text says why."""


class Answer(NamedTuple):
    """A reply."""

    body: bytes
    outcome: Outcome


class _Request(msgspec.Struct, frozen=True):
    uid: str
    operation: str
    object: msgspec.Raw = msgspec.Raw(b"null")


class _Kind(msgspec.Struct, frozen=True):
    kind: str = ""


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    request: _Request


def answer(body: bytes, injection: Injection) -> Answer:
    """Return the answer to a review. Raises NotAReviewError."""
    try:
        review = msgspec.json.decode(body, type=_Review)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotAReviewError(f"expected an AdmissionReview, found: {error}") from None
    if (review.api_version, review.kind) != ("admission.k8s.io/v1", "AdmissionReview"):
        raise NotAReviewError(f"expected admission.k8s.io/v1 AdmissionReview, found {review.api_version[:80]!r} {review.kind[:80]!r}")
    request = review.request
    if bytes(request.object) == b"null" or request.operation != "CREATE":
        return Answer(_reply(request.uid, [], []), Outcome.UNCHANGED)
    try:
        kind = msgspec.json.decode(request.object, type=_Kind).kind
        if kind != "Pod":
            raise NotAReviewError(f"expected a Pod, found {kind[:80]!r}: the webhook's rules should name pods only")
        pod = msgspec.json.decode(request.object, type=Pod)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotAReviewError(f"expected a Pod, found: {error}") from None
    found = patch(pod, injection)
    outcome = Outcome.INJECTED if found.injected else Outcome.REFUSED if found.warnings else Outcome.UNCHANGED
    return Answer(_reply(request.uid, found.operations, found.warnings), outcome)


def _reply(uid: str, operations: Sequence[Operation], warnings: Sequence[str]) -> bytes:
    response: dict[str, object] = {"uid": uid, "allowed": True}
    if operations:
        patch_bytes = msgspec.json.encode([operation._asdict() for operation in operations])
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch_bytes).decode()}
    if warnings:
        response["warnings"] = [warning[:_MOST_WARNING_CHARACTERS] for warning in warnings]
    return msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
