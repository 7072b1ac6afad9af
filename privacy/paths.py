"""JSON paths over a body: what they lead to is changed, and the whole is written anew.

Written anew, because what a decoder does not see could be what another one reads: of two members with one name it keeps the last. Only
what may lie on a path is decoded; the rest is copied as it is, at a fifth of the cost for a body of many numbers. A path with `..` may go anywhere, but not into
what does not have the name that it looks for: that is told by a search for its bytes.

NaN and Infinity, which services in Python let pass, are no JSON: texts that nobody else can have written stand for them while a body is here.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from config.redaction import Step
from privacy.changes import Change, changed, dropped

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw: Final = msgspec.json.Decoder(msgspec.Raw).decode
_CONTAINERS: Final = frozenset({dict, list, msgspec.Raw})
_LEVELS_BY_LEVEL: Final = 8
"""What lies deeper on a path is decoded as a whole: each level by itself would read the rest once more."""

_FEW: Final = 32
_SMALL_BYTES: Final = 100

_OPENINGS: Final = frozenset({b"{", b"["})
_MARK: Final = b'"\\u0000' + secrets.token_hex(8).encode()
_STAND_INS: Final = {b"-Infinity": _MARK + b'm"', b"Infinity": _MARK + b'i"', b"NaN": _MARK + b'n"'}
_NUMBERS: Final = {msgspec.json.decode(stand_in): json.loads(other) for other, stand_in in _STAND_INS.items()}
_AS_NAME: Final = re.compile(re.escape(_MARK) + rb'[min]"\s*:')


class _Node:
    """A place on one or more paths: where each further step leads."""

    __slots__ = ("anywhere", "change", "children", "names", "persists")

    def __init__(self, *, persists: bool = False) -> None:
        self.children: dict[str | int | None, _Node] = {}
        self.anywhere: _Node | None = None  # the steps that may begin at any depth from here
        self.change: Change | None = None
        self.persists = persists
        self.names: list[bytes] | None = []
        """What must stand in a value that a path leads on into; None where anything may."""

    def add(self, steps: tuple[Step, ...], change: Change) -> None:
        if not steps:
            self.change = self.change or change  # of two rules for one place the first holds
            return
        step, *rest = steps
        if step.anywhere:
            self.anywhere = self.anywhere or _Node(persists=True)
            self.anywhere.lead(step.key).add(tuple(rest), change)
        else:
            self.lead(step.key).add(tuple(rest), change)

    def lead(self, key: str | int | None) -> _Node:
        """Return where this step leads."""
        if not isinstance(key, str):
            self.names = None
        elif self.names is not None:
            self.names.append(key.encode("utf-8", "surrogatepass"))
        return self.children.setdefault(key, _Node())

    def after(self, key: str | int) -> list[_Node]:
        found = [self.children[step] for step in (key, None) if step in self.children]
        if self.persists:
            found.append(self)
        return found + [node.anywhere for node in found if node.anywhere is not None]


class Paths:
    """Changes by their paths."""

    def __init__(self, rules: Iterable[tuple[tuple[Step, ...], Change]]) -> None:
        self._root = _Node()
        for steps, change in rules:
            self._root.add(steps, change)

    def __bool__(self) -> bool:
        return bool(self._root.children) or self._root.anywhere is not None

    def opened(self, content: bytes) -> tuple[Any, Callable[[Any], bytes]]:
        """Decode as much of a body as `apply` needs; return it with what writes it. Raises where it is no JSON, but for NaN and Infinity."""
        try:
            return self._level(content.strip()), msgspec.json.encode
        except msgspec.DecodeError:
            if not any(other in content for other in _STAND_INS):
                raise
        try:
            return self._level(_stood_in_for(content.strip())), lambda document: _restored(msgspec.json.encode(document))
        except msgspec.DecodeError:  # such a word stands in a text
            return json.loads(content), _python_json

    def _level(self, content: bytes) -> Any:
        """Decode what is needed of a body: for a path with `..` perhaps all of a list, or nothing."""
        nodes = self._beginnings
        if content[:1] != b"[" or not any(node.persists for node in nodes):
            return _level(content)
        return _level_or_whole(content, 0) if _may_lead_into(content, nodes) else _raw(content)

    @property
    def _beginnings(self) -> list[_Node]:
        return [self._root] if self._root.anywhere is None else [self._root, self._root.anywhere]

    def apply(self, document: Any) -> Any:
        """Change what the paths lead to, in place."""
        return _walk(document, self._beginnings)


def _stood_in_for(content: bytes) -> bytes:
    """Return the body as JSON. Raises where a stand-in would be a member's name."""
    for other, stand_in in _STAND_INS.items():
        content = content.replace(other, stand_in)
    if _AS_NAME.search(content):
        raise msgspec.DecodeError("a number stands where a name must")
    return content


def _restored(content: bytes) -> bytes:
    for other, stand_in in _STAND_INS.items():
        content = content.replace(stand_in, other)
    return content


def opened(value: Any) -> Any:
    """Decode one level of what is not decoded yet: a dict or a list of Raw, or a value."""
    return _level(value) if isinstance(value, msgspec.Raw) else value


def _level(content: bytes | msgspec.Raw) -> Any:
    first = bytes(memoryview(content)[:1])
    if first == b"{":
        return _members(content)
    return _elements(content) if first == b"[" else msgspec.json.decode(content)


def decoded(value: Any) -> Any:
    """Decode the whole of what is not decoded yet."""
    if not isinstance(value, msgspec.Raw):
        return value
    content = bytes(memoryview(value))
    return json.loads(_restored(content)) if _MARK in content else msgspec.json.decode(content)


def _real(value: Any) -> Any:
    """Return a value of which the whole was decoded with the numbers that texts stand for."""
    if isinstance(value, dict):
        return {name: _real(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_real(each) if isinstance(each, str | list | dict) else each for each in value]
    return _NUMBERS.get(value, value) if isinstance(value, str) else value


def _python_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _walk(value: Any, nodes: list[_Node], depth: int = 0) -> Any:
    container = _as_far_as_needed(value, nodes, depth) if isinstance(value, msgspec.Raw) else value
    if isinstance(container, dict):
        for name in list(container):
            _step(container, name, nodes, depth + 1)
    elif isinstance(container, list):
        _walk_list(container, nodes, depth + 1)
    return container


def _walk_list(elements: list[Any], nodes: list[_Node], depth: int) -> None:
    if any(node.names is None for node in nodes):
        for index in range(len(elements)):
            _step(elements, index, nodes, depth)
    elif following := _following(nodes, 0):  # only names are looked for: it goes on alike for all elements, and numbers are passed by
        for index, element in enumerate(elements):
            if type(element) in _CONTAINERS:
                elements[index] = _walk(element, following, depth)


def _as_far_as_needed(value: msgspec.Raw, nodes: list[_Node], depth: int) -> Any:
    """Return a value as it is where no path leads into it, else decoded: its first level, or all of it."""
    if not any(node.persists for node in nodes):
        return _level(value)
    content = bytes(memoryview(value))
    return _level_or_whole(content, depth) if _may_lead_into(content, nodes) else value


def _may_lead_into(content: bytes, nodes: list[_Node]) -> bool:
    """Whether a path can lead on into a value: where it looks for names, one of them must stand in it, or be written with escapes."""
    if content[:1] not in _OPENINGS:
        return False
    if b"\\" in content:
        return True
    return any(node.names is None or any(name in content for name in node.names) for node in nodes)


def _level_or_whole(content: bytes, depth: int) -> Any:
    """Decode a level of a value; all of it where it is deep or of many small parts, for then that is cheaper."""
    if depth < _LEVELS_BY_LEVEL:
        level = _level(content)
        if len(level) <= _FEW or len(level) * _SMALL_BYTES < len(content):
            return level
    return msgspec.json.decode(content)


def _following(nodes: list[_Node], key: str | int) -> list[_Node]:
    return [node for each in nodes for node in each.after(key)]


def _step(container: Any, key: str | int, nodes: list[_Node], depth: int) -> None:
    """Change the member or element with this key, or what lies beyond it, if a path goes there."""
    following = _following(nodes, key)
    if not following:
        return
    change = next((node.change for node in following if node.change is not None), None)
    if change is None:
        container[key] = _walk(container[key], following, depth)
    elif change is dropped and isinstance(container, dict):
        del container[key]
    elif change is dropped:
        container[key] = None
    else:
        value = container[key]
        container[key] = changed(decoded(value) if isinstance(value, msgspec.Raw) else _real(value), change)
