"""What `driftline runtime optimize`, `quantize` and `prune` give, and what `score` costs: `python -m bench.tools`.

Models are built here with random weights, so that the share of rows that keep their class is of made-up rows under a model that has learned nothing: a trained
one is surer of itself. Times are CPU time of one thread, medians, both models in turns. What scoring costs is CPU time of the whole process per row, the least of some runs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from bench import random_graphs
from bench.report import machine_sentence, markdown_table, write_json
from config.choices import Device
from driftline.cli import main as driftline
from runtime.session import Array, Session
from runtime.tools.comparison import Comparison
from runtime.tools.measuring import Rows, compare
from runtime.tools.optimize import optimize
from runtime.tools.prune import prune_units, prune_weights
from runtime.tools.quantize import quantize_calibrated, quantize_weights
from runtime.tools.rows import made_up_inputs

_ROWS = 2_000
_SCORED_BATCH_ROWS = 1_024
_ROUNDS = 3

_GRAPHS: dict[str, Callable[[Path], object]] = {
    "MLP, 30–512–512–2": random_graphs.mlp,
    "BERT, 4 layers of 256": lambda path: random_graphs.bert_base(path, layers=4, tokens=32, width=256, vocabulary=1000),
}


class Changed(msgspec.Struct, frozen=True):
    """One change of one graph."""

    graph: str
    change: str
    comparison: Comparison


class Figures(msgspec.Struct, frozen=True):
    """Everything; CPU in microseconds per row."""

    changed: list[Changed]
    scored_rows: int
    bare_us: float
    scored_us: float
    recorded_us: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.tools", description="Smaller and faster models, and answers in bulk.")
    parser.add_argument("--quick", action="store_true", help="the MLP alone, fewer rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments: Any = parser.parse_args()
    print(f"{machine_sentence()}.\n", flush=True)
    figures = measure(list(_GRAPHS)[: 1 if arguments.quick else None], scored_rows=20_000 if arguments.quick else 200_000)
    print(report(figures))
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def report(figures: Figures) -> str:
    """Return the figures as Markdown."""
    heads = ("graph", "change", "size", "compressed", "load", "1 row", "32 rows", "rows that keep their class", "largest difference")
    scored = [
        ("session.run alone, batches of 1,024 rows", f"{figures.bare_us:.2f} µs"),
        ("`score`: Parquet in, Parquet out", f"{figures.scored_us:.2f} µs"),
        ("`score --record`: in the spool as well", f"{figures.recorded_us:.2f} µs"),
    ]
    ratios = markdown_table(heads, [_row(changed) for changed in figures.changed])
    return f"{ratios}\n\nCPU per row of {figures.scored_rows:,} rows of the MLP:\n\n{markdown_table(('what', 'CPU per row'), scored)}"


def _row(changed: Changed) -> tuple[str, ...]:
    found = changed.comparison
    before, after = found.original, found.candidate
    times = [f"{after.latency_seconds[rows] / before.latency_seconds[rows]:.2f} ×" for rows in before.latency_seconds]
    sizes = f"{after.size_bytes / before.size_bytes:.2f} ×", f"{after.compressed_bytes / before.compressed_bytes:.2f} ×"
    load = f"{after.load_seconds / before.load_seconds:.2f} ×"
    difference = max(found.largest_difference_ratio.values())
    return (changed.graph, changed.change, *sizes, load, *times, f"{found.agreement_ratio or 0:.1%}", f"{difference:.1g}")


def measure(graphs: Sequence[str], *, scored_rows: int) -> Figures:
    """Measure all."""
    changed: list[Changed] = []
    with tempfile.TemporaryDirectory(prefix="driftline-tools-") as directory:
        room = Path(directory)
        for graph in graphs:
            _GRAPHS[graph](room / "original.onnx")
            changed += [Changed(graph, change, comparison) for change, comparison in _changes(room / "original.onnx", room / "candidate.onnx")]
        random_graphs.mlp(room / "original.onnx")
        return Figures(changed, scored_rows, *_scored(room, scored_rows))


def _changes(original: Path, candidate: Path) -> list[tuple[str, Comparison]]:
    session = Session(original)
    inputs = made_up_inputs(session.signature, _ROWS)
    names = [spec.name for spec in session.signature.inputs]
    changes: dict[str, Callable[[], None]] = {
        "optimize": lambda: optimize(original, candidate, device=Device.CPU),
        "quantize --to int8": lambda: quantize_weights(original, candidate),
        "quantize --to int8-static": lambda: quantize_calibrated(original, candidate, _calibration(names, inputs)),
        "prune --share 0.5": lambda: prune_units(original, candidate, 0.5),
        "prune --share 0.5 --what weights": lambda: prune_weights(original, candidate, 0.5),
    }
    found: list[tuple[str, Comparison]] = []
    for name, change in changes.items():
        print(name, file=sys.stderr, flush=True)
        change()
        found.append((name, compare(original, candidate, Rows([array[1::2] for array in inputs], None, "made up"), device=Device.CPU)))
    return found


def _calibration(names: Sequence[str], inputs: Sequence[Array]) -> list[dict[str, Array]]:
    return [{name: array[start : start + 64 : 2] for name, array in zip(names, inputs, strict=True)} for start in range(0, len(inputs[0]), 64)]


def _scored(room: Path, rows: int) -> tuple[float, float, float]:
    """Return the CPU per row of the model alone, of scoring, and of scoring and recording."""
    models = room / "models"
    (models / "m" / "1").mkdir(parents=True)
    (room / "original.onnx").rename(models / "m" / "1" / "model.onnx")
    session = Session(models / "m" / "1" / "model.onnx")
    (inputs,) = made_up_inputs(session.signature, rows)
    parquet.write_table(pa.table({f"f{place}": inputs[:, place] for place in range(inputs.shape[1])}), room / "rows.parquet")
    numbers = iter(range(1000))
    words = ["runtime", "score", "--models", str(models), "--model", "m", "--from", str(room / "rows.parquet")]

    def alone() -> None:
        for start in range(0, rows, _SCORED_BATCH_ROWS):
            session.run([inputs[start : start + _SCORED_BATCH_ROWS]])

    def scored(*options: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            assert driftline([*words, "--out", str(room / f"out-{next(numbers)}"), *options]) == 0

    recorded = ("--record", "--data-dir", str(room / "data"))
    return _least_us(alone, rows), _least_us(scored, rows), _least_us(lambda: scored(*recorded), rows)


def _least_us(work: Callable[[], None], rows: int) -> float:
    """Return the least CPU per row of some rounds, after one that loads what is needed."""
    work()
    taken: list[float] = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return float(np.min(taken)) / rows * 1e6


if __name__ == "__main__":
    sys.exit(main())
