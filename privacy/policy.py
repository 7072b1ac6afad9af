"""What one route's settings ask for: which exchanges are kept, and what of them. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from config.redaction import Capture, Place, PlaceKind
from config.settings import RouteSettings
from privacy.bodies import BodyRules, NotKeptError, values_at
from privacy.changes import MASK, Change, change_for, dropped
from privacy.keys import Hasher
from privacy.pairs import pairs_changed, values_of
from records.exchange import KEPT_FIELDS, Body, Exchange, Redaction, Role
from records.ids import ExchangeId
from records.metrics import BodyNotKept

SUBJECTS_AT_MOST: Final = 100
"""Of one exchange; the bodies of one with more are not kept, so that nothing is kept of whom `driftline forget` would not find."""

_REQUEST_ID: Final = "x-request-id"
_CLIENT: Final = Place(PlaceKind.CLIENT, "")
_PRINCIPAL: Final = Place(PlaceKind.PRINCIPAL, "")
_HASHES: Final = 1 << 64
_KEEPS_REQUEST: Final = frozenset({Capture.BOTH, Capture.REQUEST})
_KEEPS_RESPONSE: Final = frozenset({Capture.BOTH, Capture.RESPONSE})


class Kept(msgspec.Struct):
    """What may be kept of an exchange, and why bodies may not."""

    exchange: Exchange
    not_kept: list[BodyNotKept]


class Policy:
    """The settings of one route, made ready."""

    def __init__(self, route: RouteSettings, hasher: Hasher | None) -> None:
        """`hasher` is there where anything is to be hashed."""
        changes = {rule.at: change_for(rule.do, hasher) for rule in reversed(route.redact)}  # of two rules for one place the first holds
        self._bodies = BodyRules(changes)
        self._query = {place.name: change for place, change in changes.items() if place.kind is PlaceKind.QUERY}
        self._fields = {place.name: change for place, change in changes.items() if place.kind is PlaceKind.HEADER}
        self._client = changes.get(_CLIENT)
        self._principal = changes.get(_PRINCIPAL)
        self._subject = route.subject
        self._fields |= dict.fromkeys(_handed_over(route), dropped)
        self._hasher = hasher
        self._capture = route.capture
        self._rate = float(route.sample)
        self._hashes_below = int(route.sample * _HASHES)

    @property
    def changes_head(self) -> bool:
        """Whether there is something in a request's head that must not be kept as it is."""
        of_subject = self._subject is not None and self._subject.kind not in {PlaceKind.JSON, PlaceKind.FORM}
        return bool(self._query or self._fields or self._client or self._principal or of_subject)

    @property
    def changes_bodies(self) -> bool:
        """Whether there is something in bodies that must not be kept as it is."""
        return bool(self._bodies) or self._subject is not None

    @property
    def off(self) -> bool:
        """Whether no records are made at all."""
        return self._capture is Capture.OFF

    def samples(self, exchange_id: ExchangeId) -> bool:
        """Whether an exchange is in the sample. What was served and its shadows' replies have one id, and so one answer."""
        return self._rate >= 1.0 or int.from_bytes(blake2b(exchange_id, digest_size=8).digest(), "big") < self._hashes_below

    def kept(self, exchange: Exchange) -> Kept:
        """Return the record as it may be written."""
        reasons: list[BodyNotKept] = []
        request, response = exchange.request, exchange.response
        subjects = self._subjects(exchange, reasons)
        if reasons:
            request, response = _without_content(request), _without_content(response)
        kept = replace(
            exchange,
            request_id=_text_changed(exchange.request_id, self._fields.get(_REQUEST_ID)),
            path=self._path(exchange.path),
            client=_text_changed(exchange.client, self._client),
            principal=_text_changed(exchange.principal, self._principal),
            sampling_rate=self._rate,
            request=self._body(request, self._capture in _KEEPS_REQUEST, reasons),
            response=self._body(response, self._capture in _KEEPS_RESPONSE, reasons),
            subjects=subjects,
        )
        return Kept(kept, reasons)

    def _body(self, body: Body, captured: bool, reasons: list[BodyNotKept]) -> Body:
        if self._fields and body.fields:
            body = replace(body, fields=self._fields_changed(body.fields))
        if not captured:
            return _without_content(body)
        try:
            return self._bodies.apply(body)
        except NotKeptError as error:
            reasons.append(error.reason)
            return _without_content(body)

    def _fields_changed(self, fields: dict[str, str]) -> dict[str, str]:
        changes = {name: self._fields.get(name) for name in fields}
        return {name: change(value) if change else value for name, value in fields.items() if (change := changes[name]) is not dropped}

    def _path(self, target: str) -> str:
        if not self._query or "?" not in target:
            return target
        path, _, query = target.partition("?")
        query = pairs_changed(query, self._query)
        return f"{path}?{query}" if query else path

    def _subjects(self, exchange: Exchange, reasons: list[BodyNotKept]) -> tuple[str, ...]:
        """Return whose data it is, hashed."""
        if self._subject is None or self._hasher is None or exchange.role is not Role.SERVED:
            return ()
        try:
            values = values_found(self._subject, exchange)
        except NotKeptError as error:
            reasons.append(error.reason)
            return ()
        hashes = sorted({self._hasher(subject_bytes(value)) for value in values})
        if len(hashes) > SUBJECTS_AT_MOST:
            reasons.append(BodyNotKept.TOO_MANY_SUBJECTS)
        return tuple(hashes[:SUBJECTS_AT_MOST])


def _handed_over(route: RouteSettings) -> set[str]:
    """Return the header fields that the data plane hands over for the subject's hash alone."""
    subject = route.subject
    if subject is None or subject.kind is not PlaceKind.HEADER or subject == route.label_key:
        return set()
    return {subject.name} - KEPT_FIELDS - {_REQUEST_ID}


def _text_changed(text: str, change: Change | None) -> str:
    """Return a text of the record's head changed, empty where it is to be dropped or was empty."""
    return change(text) or "" if text and change is not None else text


def subject_bytes(value: Any) -> bytes:
    """Return what is hashed of a subject: a text's characters, any other value's JSON, so that 7 and "7" are one."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else msgspec.json.encode(value)


def without_bodies(exchange: Exchange) -> Exchange:
    """Return a record without what its bodies said."""
    return replace(exchange, request=_without_content(exchange.request), response=_without_content(exchange.response))


def bare(exchange: Exchange) -> Exchange:
    """Return a record of which nothing is kept of its caller, but the path without its query."""
    path, mark, _ = exchange.path.partition("?")
    request, response = (replace(_without_content(body), fields={}) for body in (exchange.request, exchange.response))
    return replace(exchange, path=f"{path}?{MASK}" if mark else path, request_id="", client="", principal="", request=request, response=response, subjects=())


def values_found(place: Place, exchange: Exchange) -> list[Any]:
    """Return the values that stand in a place of a request. Raises NotKeptError where nobody can tell."""
    if place.kind is PlaceKind.QUERY:
        return values_of(exchange.path.partition("?")[2], place.name)
    if place.kind in {PlaceKind.CLIENT, PlaceKind.PRINCIPAL}:
        who = exchange.client if place.kind is PlaceKind.CLIENT else exchange.principal
        return [who] if who else []
    if place.kind is PlaceKind.HEADER:
        fields = exchange.request.fields
        return [exchange.request_id] if place.name == _REQUEST_ID else [fields[place.name]] if place.name in fields else []
    return values_at(place, exchange.request)


def _without_content(body: Body) -> Body:
    if not (body.content or body.truncated):
        return body
    return replace(body, content=b"", truncated=False, redaction=Redaction.NOT_KEPT)
