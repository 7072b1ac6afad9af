"""Layouts of the table `features`: what a row of 33 numbers costs to insert, to keep and to read: `python -m bench.layouts`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import clickhouse_connect
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.report import machine_sentence, markdown_table, write_json
from store.clickhouse.columns import insert_columns

NUMBERS: Final = 33
ROWS: Final = 10_000
BATCHES: Final = 10
ASKED: Final = 7
_READS: Final = 5
_NAMES: Final = [f"feature {number}" for number in range(NUMBERS)]
_Matrix = npt.NDArray[np.float64]


class Layout(NamedTuple):
    """One way to keep a row's numbers."""

    name: str
    columns: str
    arrays: Callable[[_Matrix], dict[str, Any]]
    mean: str
    """The mean of one of them."""


class Figure(msgspec.Struct, frozen=True):
    """What one layout costs."""

    layout: str
    insert_us: float
    """CPU per row, the merges and making the arrays included."""
    disk_bytes: float
    """Per row."""
    read_ms: float
    """The mean of one number over all rows."""


def _map(dtype: str) -> Callable[[_Matrix], dict[str, Any]]:
    def arrays(matrix: _Matrix) -> dict[str, Any]:
        names = pa.array(_NAMES).take(pa.array(np.tile(np.arange(NUMBERS), len(matrix))))
        return {"numbers": pa.MapArray.from_arrays(_offsets(matrix), names, pa.array(matrix.ravel().astype(dtype)))}

    return arrays


def _array(dtype: str) -> Callable[[_Matrix], dict[str, Any]]:
    return lambda matrix: {"numbers": pa.ListArray.from_arrays(_offsets(matrix), pa.array(matrix.ravel().astype(dtype)))}


def _columns(matrix: _Matrix) -> dict[str, Any]:
    return {name: pa.array(np.ascontiguousarray(column)) for name, column in zip(_NAMES, matrix.T, strict=True)}


def _json(matrix: _Matrix) -> dict[str, Any]:
    return {"numbers": pa.array([msgspec.json.encode(dict(zip(_NAMES, row, strict=True))).decode() for row in matrix.tolist()])}


def _offsets(matrix: _Matrix) -> Any:
    return pa.array(np.arange(len(matrix) + 1, dtype=np.int32) * NUMBERS)


LAYOUTS: Final = (
    Layout("Map(LowCardinality(String), Float64)", "numbers Map(LowCardinality(String), Float64)", _map("f8"), f"numbers['{_NAMES[ASKED]}']"),
    Layout("Map(LowCardinality(String), Float32)", "numbers Map(LowCardinality(String), Float32)", _map("f4"), f"numbers['{_NAMES[ASKED]}']"),
    Layout("Array(Float64), names elsewhere", "numbers Array(Float64)", _array("f8"), f"numbers[{ASKED + 1}]"),
    Layout("Array(Float32), names elsewhere", "numbers Array(Float32)", _array("f4"), f"numbers[{ASKED + 1}]"),
    Layout("a Float64 column each, a table per model", ", ".join(f"`{name}` Float64" for name in _NAMES), _columns, f"`{_NAMES[ASKED]}`"),
    Layout("JSON", "numbers JSON", _json, f"numbers.`{_NAMES[ASKED]}`::Float64"),
)


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as directory:
        figures = measure(Path(directory))
    print(f"{machine_sentence()}.\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def report(figures: Sequence[Figure]) -> str:
    """Return the figures as Markdown."""
    rows = [(figure.layout, f"{figure.insert_us:.1f}", f"{figure.disk_bytes:.0f}", f"{figure.read_ms:.0f}") for figure in figures]
    heads = ("layout", "CPU µs per row", "bytes per row", f"ms for a mean over {ROWS * BATCHES:,} rows")
    return f"{NUMBERS} numbers a row, in batches of {ROWS:,}:\n\n{markdown_table(heads, rows)}"


def measure(directory: Path) -> list[Figure]:
    """Return a figure for each layout."""
    client = clickhouse_connect.get_client(interface="chdb", path=str(directory))
    noise = np.random.default_rng(1)
    batches = [noise.lognormal(3, 1, (ROWS, NUMBERS)).round(4) for _ in range(BATCHES)]
    _figure(client, LAYOUTS[0], batches)  # the first one pays for the engine's start
    figures = [_figure(client, layout, batches) for layout in LAYOUTS]
    client.close()
    return figures


def _figure(client: Any, layout: Layout, batches: Sequence[_Matrix]) -> Figure:
    client.command(f"CREATE TABLE t (started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)), {layout.columns}) ENGINE = MergeTree ORDER BY started_at")
    client.command("ALTER TABLE t MODIFY SETTING default_compression_codec = 'ZSTD(1)'")
    began_ns = time.process_time_ns()
    for number, matrix in enumerate(batches):
        times = pa.array(np.arange(ROWS) + number * ROWS, pa.timestamp("ns", "UTC"))
        table = pa.table({"started_at": times, **layout.arrays(matrix)})
        insert_columns(client, "t", table)
    client.command("OPTIMIZE TABLE t FINAL")
    cpu_ns = time.process_time_ns() - began_ns
    size = client.command("SELECT sum(data_compressed_bytes) FROM system.parts WHERE active AND table = 't'")
    rows, read_ms = ROWS * len(batches), _read_ms(client, layout.mean)
    client.command("DROP TABLE t SYNC")
    return Figure(layout.name, cpu_ns / 1e3 / rows, size / rows, read_ms)


def _read_ms(client: Any, mean: str) -> float:
    times = []
    for _ in range(_READS):
        began = time.perf_counter()
        client.command(f"SELECT avg({mean}) FROM t")
        times.append(time.perf_counter() - began)
    return min(times) * 1e3


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.layouts", description="Layouts of the table features: what a row costs.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
