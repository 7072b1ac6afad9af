"""Bodies taken apart, changed and written anew, or not kept.

A body is read as JSON whatever it says that it is, for many services do the same; one that is no JSON may be a form. What is neither, or was
compressed or cut off, is a body of which nobody knows what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from config.redaction import Place, PlaceKind, Step
from privacy.changes import Change
from privacy.pairs import FORM, pairs_changed, values_of
from privacy.paths import Paths
from privacy.tensors import LISTS, tensors_changed
from records.exchange import Body, Redaction
from records.metrics import BodyNotKept

DOCUMENT_LENGTH: Final = "inference-header-content-length"
"""The field (Open Inference V2, binary tensor data extension) that says where the JSON ends and the tensors' bytes begin."""

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_NAMED_VALUES: Final = (
    (Step("inputs"),),
    (Step("outputs"),),
    (Step("instances"), Step(None)),
    (Step("predictions"), Step(None)),
)
"""Where formats without Open Inference's list of tensors (TensorFlow Serving, MLflow) have named ones: as members of an object."""


class NotKeptError(Exception):
    """The rules could not see into a body."""

    def __init__(self, reason: BodyNotKept) -> None:
        super().__init__(reason.value)
        self.reason = reason


class BodyRules:
    """What is done to the bodies of one route, requests and replies alike."""

    def __init__(self, rules: Mapping[Place, Change]) -> None:
        self._tensors = {place.name: change for place, change in rules.items() if place.kind is PlaceKind.TENSOR}
        self._form = {place.name: change for place, change in rules.items() if place.kind is PlaceKind.FORM}
        steps = [(place.steps, change) for place, change in rules.items() if place.kind is PlaceKind.JSON]
        named = [((*before, Step(name)), change) for name, change in self._tensors.items() for before in _NAMED_VALUES]
        self._paths = Paths([*steps, *named])
        self._into_tensors = any(_leads_into_tensors(path) for path, _ in steps)
        self._any = bool(steps or self._tensors or self._form)

    def __bool__(self) -> bool:
        return self._any

    def apply(self, body: Body) -> Body:
        """Return what may be kept of a body. Raises NotKeptError where nothing may."""
        if not self._any or not (body.content or body.truncated):
            return body
        require_visible(body)
        try:
            return self._document_changed(body)
        except NotKeptError:
            raise
        except Exception as error:  # whatever is wrong with a stranger's bytes, they are not kept
            if not is_form(body):
                raise NotKeptError(BodyNotKept.UNREADABLE) from error
        content = pairs_changed(body.content.decode("ascii"), self._form).encode()
        return replace(body, content=content, redaction=Redaction.REDACTED)

    def _document_changed(self, body: Body) -> Body:
        content, fields = body.content, body.fields
        length = int(fields.get(DOCUMENT_LENGTH, len(content)))
        binary = content[length:]
        if binary and self._into_tensors:
            raise NotKeptError(BodyNotKept.UNREADABLE)  # a JSON path may mean what is not in the JSON
        document, write = self._paths.opened(content[:length])
        document = self._paths.apply(document)
        if isinstance(document, dict) and (self._tensors or binary):
            binary = tensors_changed(document, binary, self._tensors)
        elif binary:
            raise NotKeptError(BodyNotKept.UNREADABLE)
        written = write(document)
        if DOCUMENT_LENGTH in fields:
            fields = fields | {DOCUMENT_LENGTH: str(len(written))}
        return replace(body, content=written + binary, fields=fields, redaction=Redaction.REDACTED)


def require_visible(body: Body) -> None:
    """Raise NotKeptError where a body was cut off or compressed."""
    if body.truncated:
        raise NotKeptError(BodyNotKept.TRUNCATED)
    if body.content_encoding.strip().lower() not in {"", "identity"}:
        raise NotKeptError(BodyNotKept.ENCODED)


def is_form(body: Body) -> bool:
    """Whether a body says that it is a form and can be one."""
    return body.content_type.lower().startswith(_FORM_TYPE) and FORM.fullmatch(body.content) is not None


def _leads_into_tensors(steps: tuple[Step, ...]) -> bool:
    """Whether a path may mean data that can lie behind the JSON."""
    return steps[0].anywhere or steps[0].key in {None, *LISTS}


def values_at(place: Place, body: Body) -> list[Any]:
    """Return the values that stand in a place of a body: of its JSON, or of a form. Raises NotKeptError where nobody can tell."""
    if not (body.content or body.truncated):
        return []
    require_visible(body)
    found: list[Any] = []
    try:
        if place.kind is PlaceKind.FORM:
            return values_of(body.content.decode("ascii"), place.name) if is_form(body) else []
        paths = Paths([(place.steps, found.append)])
        length = int(body.fields.get(DOCUMENT_LENGTH, len(body.content)))
        if length < len(body.content) and _leads_into_tensors(place.steps):
            raise NotKeptError(BodyNotKept.UNREADABLE)
        paths.apply(paths.opened(body.content[:length])[0])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if not is_form(body):
            raise NotKeptError(BodyNotKept.UNREADABLE) from error
    return [value for value in found if value is not None]
