"""Rows that were sent to a model, from the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from config.settings import Settings
from driftline.decoding import Decoding
from driftline.stored_exchanges import Period, Position, StoredExchange, stored_exchanges
from driftline.tools.row_source import Block
from records.payload import Decoded, Tensor
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError
from runtime.session import Array
from runtime.signature import Signature
from runtime.tools.errors import ToolError
from runtime.tools.rows import inputs_of

_TEXTS: Final = frozenset({"BYTES", "JSON"})


class StoreRows:
    """What was served in a period, in the order of the traffic; requests that the model cannot take are left out and counted."""

    def __init__(self, settings: Settings, period: Period, signature: Signature) -> None:
        self._settings = settings
        self._period = period
        self._signature = signature
        self._decode = Decoding(settings.routes)

    @property
    def described(self) -> str:
        """The store and the model whose traffic it was."""
        return f"traffic of {self._period.model} in the store"

    @property
    def identity(self) -> Mapping[str, str]:
        """The period. What is stored later and began earlier is not seen by who has gone on."""
        where = self._settings.store.clickhouse or self._settings.data_dir
        return {"store": str(where), **{name: str(value) for name, value in self._period._asdict().items()}}

    def total_rows(self) -> int | None:
        """Return None: how many rows a request has is known when it is decoded."""
        return None

    def blocks(self, after: str, rows: int) -> Iterator[Block]:
        """Yield blocks of whole requests; an end is the position of the last one."""
        gathered = _Gathered()
        try:
            for stored in stored_exchanges(self._settings, self._period, _position(after)):
                gathered.add(stored, self._inputs(stored))
                if gathered.rows >= rows:
                    yield gathered.block()
                    gathered = _Gathered()
        except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
            raise ToolError(f"the store cannot be read: {error}") from error
        if gathered.rows or gathered.left_out:
            yield gathered.block()

    def _inputs(self, stored: StoredExchange) -> list[Array] | None:
        request, _ = self._decode(stored.exchange)
        if not isinstance(request, Decoded):
            return None
        try:
            return inputs_of(self._signature, {tensor.name: _array(tensor) for tensor in request.tensors})
        except ToolError:
            return None


class _Gathered:
    """Requests that become one block."""

    def __init__(self) -> None:
        self.rows = 0
        self.left_out = 0
        self._inputs: list[list[Array]] = []
        self._positions: list[tuple[Position, int]] = []
        self._end = ""

    def add(self, stored: StoredExchange, inputs: list[Array] | None) -> None:
        self._end = "{} {} {}".format(*stored.position)
        if inputs is None:
            self.left_out += 1
            return
        self._inputs.append(inputs)
        self._positions.append((stored.position, len(inputs[0])))
        self.rows += len(inputs[0])

    def block(self) -> Block:
        """Join them. Raises `ToolError` where their shapes differ."""
        try:
            inputs = [np.concatenate(arrays) for arrays in zip(*self._inputs, strict=True)]
        except ValueError:
            raise ToolError("the requests of the period have inputs of different lengths; a model with such inputs cannot be scored from the store") from None
        counts = [count for _, count in self._positions]
        kept: dict[str, Any] = {
            "started_at_ns": np.repeat(np.array([position.started_at_ns for position, _ in self._positions], dtype=np.int64), counts),
            "writer": np.repeat(np.array([position.writer for position, _ in self._positions], dtype=np.object_), counts),
            "sequence": np.repeat(np.array([position.sequence for position, _ in self._positions], dtype=np.int64), counts),
            "row": np.concatenate([np.arange(count) for count in counts]) if counts else np.zeros(0, dtype=np.int64),
        }
        return Block(inputs, kept, self.rows, self.left_out, self._end)


def _array(tensor: Tensor) -> Array:
    kind: Any = np.object_ if tensor.datatype in _TEXTS else np.float64 if None in tensor.values or tensor.datatype.startswith(("FP", "BF")) else None
    return np.array(tensor.values, dtype=kind).reshape(tensor.shape or (1,))


def _position(text: str) -> Position | None:
    if not text:
        return None
    started_at_ns, writer, sequence = text.split(" ")
    return Position(int(started_at_ns), writer, int(sequence))
