"""What it costs to watch many features, and many models at once: `python -m bench.width`.

Models take rows in turns, as many at a time as the detectors' thread lets wait for each other: decoded rows become columns and are counted, and every
1,000 of a model are a window that is tested. One model is calibrated, which is done once per baseline and stands apart, and the others are copies of
it. Every width has a process of its own. Memory is what copies add to what is resident and in no file; of one alone it is not told from what calibrating
gave back. All numbers are from fixed seeds.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from bench.drain_loader import resident_bytes
from bench.report import machine_sentence, markdown_table, write_json
from config.settings import Settings
from detectors.baseline import build_baseline
from detectors.budget import evidence_threshold
from detectors.columns import ColumnBuffer
from detectors.drift import DriftDetector
from detectors.windows import WindowPolicy
from driftline.model_watch import ROWS_AT_ONCE, VALUES_AT_ONCE
from records.payload import Decoded, Failed, Tensor, Undecodable

FEATURES: Final = (10, 30, 100, 1_000)
MODELS: Final = (1, 10, 100)
WINDOW_ROWS: Final = 1_000
USUAL_FEATURES: Final = 30
RATIO_PROMISED: Final = 1.5
"""Of what a feature costs among more features and models; fewer features carry what every row and window costs beside them."""

_BASELINE_ROWS: Final = 2_000
_LEAST_WINDOWS: Final = 5
_FEWEST_COPIES: Final = 10
_SETTINGS: Final = Settings().drift
_NO_REPLY: Final = Failed("v2", Undecodable.EMPTY)


class Figure(msgspec.Struct, frozen=True):
    """Of so many models, each of so many features."""

    features: int
    models: int
    row_us: float
    """Microseconds of CPU per row."""
    window_ms: float
    """Milliseconds of CPU per window of one model."""
    model_bytes: float | None
    """Memory of each model; None where there are too few to tell."""
    calibration_ms: float
    """Milliseconds of CPU, once per baseline."""

    def per_feature(self) -> tuple[float, float, float | None]:
        """Return what one feature costs: nanoseconds of CPU per row, microseconds per window, bytes of memory."""
        memory_bytes = None if self.model_bytes is None else self.model_bytes / self.features
        return self.row_us * 1e3 / self.features, self.window_ms * 1e3 / self.features, memory_bytes


class _Model:
    """What the monitor holds of a model."""

    def __init__(self, features: int) -> None:
        rng = np.random.default_rng(features)
        columns = {f"x[{index}]": rng.normal(index, 1 + index, _BASELINE_ROWS) for index in range(features)}
        self._baseline = build_baseline(columns, model="m", source="bench", created_at_ns=0)
        self._buffer = ColumnBuffer(max_features=_SETTINGS.max_features)
        threshold = evidence_threshold(_SETTINGS.budget, window_seconds=_SETTINGS.window_time)
        self._detector = DriftDetector(self._baseline, threshold=threshold, windows=WindowPolicy(max_rows=sys.maxsize, max_seconds=None))

    def copy(self) -> _Model:
        """Return another model with memory of its own, but for the baseline."""
        return copy.deepcopy(self, {id(self._baseline): self._baseline, id(self._buffer): ColumnBuffer(max_features=_SETTINGS.max_features)})

    def take(self, rows: Sequence[Decoded]) -> None:
        """Count these rows."""
        for number, row in enumerate(rows):
            self._buffer.add(row, _NO_REPLY, number)
        self._detector.update(*self._buffer.take())

    def close(self) -> None:
        """Test the window."""
        self._detector.close()


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    widths, counts = (FEATURES[:3], MODELS[:2]) if arguments.quick else (FEATURES, MODELS)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        figures = [figure for found in processes.map(measure, widths, [counts] * len(widths)) for figure in found]
    print(f"{machine_sentence()}.\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def report(figures: Sequence[Figure]) -> str:
    """Return the figures as Markdown, and how they stand to what is promised."""
    heads = (
        "features",
        "models",
        "CPU µs per row",
        "ns per feature",
        "CPU ms per window",
        "µs per feature",
        "MiB per model",
        "KiB per feature",
        "ms to calibrate",
    )
    rows = []
    for figure in figures:
        row_ns, window_us, memory_bytes = figure.per_feature()
        memory = ("", "") if figure.model_bytes is None or memory_bytes is None else (f"{figure.model_bytes / 2**20:,.1f}", f"{memory_bytes / 2**10:,.1f}")
        cpu = (f"{cell:,.1f}" for cell in (figure.row_us, row_ns, figure.window_ms, window_us))
        rows.append((f"{figure.features:,}", str(figure.models), *cpu, *memory, f"{figure.calibration_ms:,.0f}"))
    return f"{markdown_table(heads, rows)}\n\n{_verdict(figures)}"


def _verdict(figures: Sequence[Figure]) -> str:
    by_kind = zip(("row", "window", "model's memory"), zip(*(figure.per_feature() for figure in figures), strict=True), strict=True)
    lines = []
    for what, costs in by_kind:
        known = {figure: cost for figure, cost in zip(figures, costs, strict=True) if cost is not None and figure.features >= USUAL_FEATURES}
        usual = next(cost for figure, cost in known.items() if figure.features == USUAL_FEATURES)
        ratio = max(known.values()) / usual
        kept = "kept" if ratio <= RATIO_PROMISED else "NOT kept"
        lines.append(
            f"- of a {what}, a feature costs at most {ratio:.2f} times what one of {USUAL_FEATURES} features of few models does (promised: {RATIO_PROMISED}), {kept}"
        )
    return "\n".join(lines)


def measure(features: int, models: Sequence[int]) -> list[Figure]:
    """Return the figures of models of this width, for each number of models, in ascending order."""
    rows = list(islice(_rows(features), WINDOW_ROWS))
    began_ns = time.process_time_ns()
    template = _Model(features)
    _watch([template], rows)  # which learns what windows of this size look like
    calibration_ms = (time.process_time_ns() - began_ns) / 1e6
    watched: list[_Model] = []
    figures = []
    before_bytes = _settled_bytes()
    for count in models:
        watched += [template.copy() for _ in range(count - len(watched))]
        rounds = -(-_LEAST_WINDOWS // count)
        counted_ns, tested_ns = (sum(spent) / rounds / count for spent in zip(*(_watch(watched, rows) for _ in range(rounds)), strict=True))
        model_bytes = (_settled_bytes() - before_bytes) / count if count >= _FEWEST_COPIES else None
        figures.append(Figure(features, count, counted_ns / 1e3 / WINDOW_ROWS, tested_ns / 1e6, model_bytes, calibration_ms))
    return figures


def _settled_bytes() -> int:
    """Return what is resident once what was freed is given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()


def _watch(models: Sequence[_Model], rows: Sequence[Decoded]) -> tuple[int, int]:
    """Let every model take the rows and test them; return the CPU that counting and testing took, in nanoseconds."""
    at_once = min(ROWS_AT_ONCE, VALUES_AT_ONCE // rows[0].tensors[0].shape[1])
    counted_ns = tested_ns = 0
    for first in range(0, len(rows), at_once):
        for model in models:
            began_ns = time.process_time_ns()
            model.take(rows[first : first + at_once])
            counted_ns += time.process_time_ns() - began_ns
    for model in models:
        began_ns = time.process_time_ns()
        model.close()
        tested_ns += time.process_time_ns() - began_ns
    return counted_ns, tested_ns


def _rows(features: int) -> Iterator[Decoded]:
    rng = np.random.default_rng(0)
    while True:
        values = (rng.normal(size=features) * (1 + np.arange(features)) + np.arange(features)).tolist()
        yield Decoded("v2", [Tensor("x", "FP64", (1, features), values)])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.width", description="CPU and memory of many features and many models in one monitor.")
    parser.add_argument("--quick", action="store_true", help="up to 100 features and 10 models")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
