"""Operations of JSON Patch (RFC 6902), as far as injection needs them: add and replace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """One change. `path` is a JSON Pointer (RFC 6901)."""

    op: str
    path: str
    value: Any

    def below(self, prefix: str) -> Operation:
        """Return the same change of what stands at `prefix` of another document."""
        return self._replace(path=prefix + self.path)


def replace(path: str, value: Any) -> Operation:
    """Put a value in the place of another."""
    return Operation("replace", path, value)


def add_members(path: str, found: Mapping[str, Any] | None, members: Mapping[str, Any]) -> list[Operation]:
    """Add members to the object at `path`, which may be missing."""
    if found is None:
        return [Operation("add", path, dict(members))]
    return [Operation("add", f"{path}/{_escaped(key)}", value) for key, value in members.items()]


def append(path: str, found: Iterable[Any] | None, values: list[Any]) -> list[Operation]:
    """Add values to the end of the array at `path`, which may be missing."""
    return [Operation("add", path, values)] if found is None else [Operation("add", f"{path}/-", value) for value in values]


def applied(document: Any, operations: Iterable[Operation]) -> Any:
    """Return the document with the operations applied, in their order. They fit: they were made for it."""
    document = _copied(document)
    for operation in operations:
        *way, last = [_unescaped(token) for token in operation.path.split("/")[1:]]
        parent = document
        for token in way:
            parent = parent[int(token)] if isinstance(parent, list) else parent[token]
        if not isinstance(parent, list):
            parent[last] = operation.value
        elif last == "-":
            parent.append(operation.value)
        else:
            parent[int(last)] = operation.value
    return document


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _copied(value: Any) -> Any:
    """Return a copy in which nothing is in two places, as YAML's aliases have it."""
    if isinstance(value, dict):
        return {key: _copied(member) for key, member in value.items()}
    return [_copied(member) for member in value] if isinstance(value, list) else value
