"""JSON paths over a body: what they lead to is changed, and the whole is written anew.

Written anew, because what a decoder does not see could be what another one reads: of two members with one name it keeps the last. Only
what lies on a path is decoded; the rest is copied as it is, at a fifth of the cost for a body of many numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from config.redaction import Step
from privacy.changes import Change, changed, dropped

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_CONTAINERS: Final = frozenset({dict, list, msgspec.Raw})
_NOT_JSON: Final = (b"NaN", b"Infinity")


class _Node:
    """A place on one or more paths: where each further step leads."""

    __slots__ = ("anywhere", "change", "children", "persists")

    def __init__(self, *, persists: bool = False) -> None:
        self.children: dict[str | int | None, _Node] = {}
        self.anywhere: _Node | None = None  # the steps that may begin at any depth from here
        self.change: Change | None = None
        self.persists = persists

    def add(self, steps: tuple[Step, ...], change: Change) -> None:
        if not steps:
            self.change = self.change or change  # of two rules for one place the first holds
            return
        step, *rest = steps
        if step.anywhere:
            self.anywhere = self.anywhere or _Node(persists=True)
            self.anywhere.children.setdefault(step.key, _Node()).add(tuple(rest), change)
        else:
            self.children.setdefault(step.key, _Node()).add(tuple(rest), change)

    def after(self, key: str | int) -> list[_Node]:
        found = [self.children[step] for step in (key, None) if step in self.children]
        if self.persists:
            found.append(self)
        return found + [node.anywhere for node in found if node.anywhere is not None]


class Paths:
    """Changes by their paths."""

    def __init__(self, rules: Iterable[tuple[tuple[Step, ...], Change]]) -> None:
        self._root = _Node()
        self._decode_all = False
        for steps, change in rules:
            self._root.add(steps, change)
            self._decode_all = self._decode_all or any(step.anywhere for step in steps)

    def __bool__(self) -> bool:
        return bool(self._root.children) or self._root.anywhere is not None

    def opened(self, content: bytes) -> tuple[Any, Callable[[Any], bytes]]:
        """Decode as much of a body as `apply` needs; return it with what writes it. Raises where it is no JSON.

        NaN and Infinity are let pass, for services in Python let them.
        """
        try:
            return msgspec.json.decode(content) if self._decode_all else _level(content.strip()), msgspec.json.encode
        except msgspec.DecodeError:
            if not any(name in content for name in _NOT_JSON):
                raise
        return json.loads(content), _python_json

    def apply(self, document: Any) -> Any:
        """Change what the paths lead to, in place."""
        root = self._root
        return _walk(document, [root] if root.anywhere is None else [root, root.anywhere])


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
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _python_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _walk(value: Any, nodes: list[_Node]) -> Any:
    container = opened(value)
    if isinstance(container, dict):
        for name in list(container):
            _step(container, name, nodes)
    elif isinstance(container, list):
        for index in _worth_a_step(container, nodes):
            _step(container, index, nodes)
    return container


def _worth_a_step(elements: list[Any], nodes: list[_Node]) -> Iterable[int]:
    """Return the indexes at which a path may go on: where only names are looked for, a long list of numbers is passed by."""
    if any(not isinstance(key, str) for node in nodes for key in node.children):
        return range(len(elements))
    return [index for index, element in enumerate(elements) if type(element) in _CONTAINERS]


def _step(container: Any, key: str | int, nodes: list[_Node]) -> None:
    """Change the member or element with this key, or what lies beyond it, if a path goes there."""
    following = [node for each in nodes for node in each.after(key)]
    if not following:
        return
    change = next((node.change for node in following if node.change is not None), None)
    if change is None:
        container[key] = _walk(container[key], following)
    elif change is dropped and isinstance(container, dict):
        del container[key]
    elif change is dropped:
        container[key] = None
    else:
        container[key] = changed(decoded(container[key]), change)
