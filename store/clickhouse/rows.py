"""Results as rows in JSON, and back: the one place that knows how a struct's fields are called in its table.

A field is a column of the same name, but for moments, which are DateTime64 in the tables (`closed_at_ns` is `closed_at`; one that has not come
is NULL), and `index`, a word of SQL's (`window_index`).
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

_ResultT = TypeVar("_ResultT", bound=msgspec.Struct)

_MOMENT = "_at_ns"


def row(result: msgspec.Struct, **more: str) -> bytes:
    """Return a line of ClickHouse's format JSONEachRow; `more` replaces columns."""
    fields = msgspec.to_builtins(result)
    return msgspec.json.encode({_column(name): _value(name, value) for name, value in fields.items()} | more)


def selected(kind: type[msgspec.Struct]) -> str:
    """Return what to select so that `results` can read it."""
    return ", ".join(f"{_expression(name)} AS `{name}`" for name in kind.__struct_fields__)


def results(lines: bytes, kind: type[_ResultT]) -> list[_ResultT]:
    """Return the results in lines of JSONEachRow. Infinity and NaN come as text."""
    return msgspec.json.Decoder(kind, strict=False).decode_lines(lines)


def _column(name: str) -> str:
    if name == "index":
        return "window_index"
    return name.removesuffix("_ns") if name.endswith(_MOMENT) else name


def _expression(name: str) -> str:
    column = _column(name)
    return f"ifNull(toUnixTimestamp64Nano({column}), 0)" if name.endswith(_MOMENT) else column


def _value(name: str, value: Any) -> Any:
    if name.endswith(_MOMENT):
        return f"{value // 10**9}.{value % 10**9:09d}" if value else None
    return _exact(value)


def _exact(value: Any) -> Any:
    """Write what JSON has no number for as text, which ClickHouse reads."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value
