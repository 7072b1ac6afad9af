"""What is done to a value: drop, mask, hash.

A mask keeps a value's type, so that what reads the body finds what it expects: numbers become 0, texts `***`, truth false. A
list or an object keeps its shape, and all that is in it is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from config.redaction import Action
from privacy.keys import Hasher

Change: TypeAlias = Callable[[Any], Any]
"""Takes one value that is neither a list nor an object, and returns what stands in its place."""

MASK: Final = "***"
_MASKS: Final[dict[type, Any]] = {str: MASK, int: 0, float: 0.0, bool: False, type(None): None}


def dropped(value: Any) -> None:
    """Leave nothing. Members of objects that get this change are removed; an element of a list becomes null, so that those behind it keep their places."""


def masked(value: Any) -> Any:
    """Return a constant of the same type."""
    return _MASKS[type(value)]


def hashing(hasher: Hasher) -> Change:
    """Return the change to a keyed hash: a text, also for a number. Null stays null."""

    def hashed(value: Any) -> str | None:
        return None if value is None else hasher(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else msgspec.json.encode(value))

    return hashed


def change_for(action: Action, hasher: Hasher | None) -> Change:
    """Return what an action does; `hasher` is there where the action is to hash."""
    if action is Action.HASH:
        assert hasher is not None
        return hashing(hasher)
    return masked if action is Action.MASK else dropped


def changed(value: Any, change: Change) -> Any:
    """Return the value with all that is in it changed. Raises RecursionError where it is too deep."""
    if isinstance(value, dict):
        return {key: changed(each, change) for key, each in value.items()}
    if isinstance(value, list):
        kinds = set(map(type, value))
        if not kinds.isdisjoint({dict, list}):
            return [changed(each, change) for each in value]
        return [masked(value[0])] * len(value) if change is masked and len(kinds) == 1 else [*map(change, value)]
    return change(value)
