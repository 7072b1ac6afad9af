"""Runs a changed model beside its original, on the same rows and in turns.

On the CPU a session computes in the thread that asks, so that the thread's CPU time is what a run takes on an idle machine, however busy this one is.
"""

from __future__ import annotations

import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from config.choices import Device
from runtime.session import Array, Session
from runtime.tools.comparison import Comparison, Cost
from runtime.tools.errors import ToolError
from runtime.tools.predictions import Outputs, agreement_ratio, largest_differences, metric

_BATCH_ROWS: Final = 256
_CLOCKS: Final = {Device.CPU: time.thread_time, Device.CUDA: time.perf_counter}
_TIMED_ROWS: Final = (1, 32)
_TIMED_SECONDS: Final = 0.3
_RUNS_AT_LEAST: Final = 5
_LOADS: Final = 5
_CHUNK_BYTES: Final = 1 << 20


class Rows(NamedTuple):
    """On what two models are compared."""

    inputs: list[Array]
    """In the signature's order, all of one length."""
    labels: Array | None
    described: str
    """Where they came from, in words."""


def compare(original: Path, candidate: Path, rows: Rows, *, device: Device) -> Comparison:
    """Run both models on the rows, on `CPU` or `CUDA`. Raises `ToolError` or `ModelError` where one of them cannot."""
    files = (original, candidate)
    sessions, load_seconds = _loaded(files, device)
    before, after = (predict(session, rows.inputs) for session in sessions)
    if list(before) != list(after):
        raise ToolError(f"the outputs of {candidate} are {', '.join(after)}, those of the original {', '.join(before)}")
    times = {count: _in_turns([_runner(session, rows.inputs, count) for session in sessions], _CLOCKS[device]) for count in _timed_rows(rows.inputs, sessions)}
    costs = [
        _cost(file, seconds, {count: both[side] for count, both in times.items()}) for side, (file, seconds) in enumerate(zip(files, load_seconds, strict=True))
    ]
    return Comparison(
        rows=len(rows.inputs[0]),
        rows_from=rows.described,
        original=costs[0],
        candidate=costs[1],
        largest_difference_ratio=largest_differences(before, after),
        agreement_ratio=agreement_ratio(before, after),
        original_metric=None if rows.labels is None else metric(before, rows.labels),
        candidate_metric=None if rows.labels is None else metric(after, rows.labels),
    )


def predict(session: Session, inputs: Sequence[Array]) -> Outputs:
    """Return the outputs for all rows, computed in batches where the model has rows."""
    rows = len(inputs[0])
    size = _BATCH_ROWS if session.signature.has_rows else rows
    batches = [session.run([array[start : start + size] for array in inputs]) for start in range(0, rows, size)]
    return {spec.name: np.concatenate([batch[place] for batch in batches]) for place, spec in enumerate(session.signature.outputs)}


def _loaded(files: Sequence[Path], device: Device) -> tuple[list[Session], list[float]]:
    """Return the models loaded, and the least time that each took in some attempts, which take turns."""
    clock = _CLOCKS[device]
    taken: list[list[float]] = [[] for _ in files]
    sessions: list[Session] = []
    for _ in range(_LOADS):
        sessions = []
        for file, times in zip(files, taken, strict=True):
            started = clock()
            sessions.append(Session(file, device=device))
            times.append(clock() - started)
    return sessions, [min(times) for times in taken]


def _timed_rows(inputs: Sequence[Array], sessions: Sequence[Session]) -> list[int]:
    rows = len(inputs[0])
    if not all(session.signature.has_rows for session in sessions):
        return [rows]
    return sorted({min(count, rows) for count in _TIMED_ROWS})


def _runner(session: Session, inputs: Sequence[Array], rows: int) -> Callable[[], object]:
    cut = [array[:rows] for array in inputs]
    return lambda: session.run(cut)


def _in_turns(runs: Sequence[Callable[[], object]], clock: Callable[[], float]) -> list[float]:
    """Return the median seconds of each; they take turns, so that whatever else the machine does hits all of them."""
    taken: list[list[float]] = [[] for _ in runs]
    deadline = time.perf_counter() + _TIMED_SECONDS * len(runs)
    while time.perf_counter() < deadline or len(taken[0]) < _RUNS_AT_LEAST:
        for run, times in zip(runs, taken, strict=True):
            started = clock()
            run()
            times.append(clock() - started)
    return [statistics.median(times) for times in taken]


def _cost(file: Path, load_seconds: float, latency_seconds: dict[int, float]) -> Cost:
    return Cost(size_bytes=file.stat().st_size, compressed_bytes=_compressed_bytes(file), load_seconds=load_seconds, latency_seconds=latency_seconds)


def _compressed_bytes(file: Path) -> int:
    deflate = zlib.compressobj(level=1)
    with file.open("rb") as opened:
        size = sum(len(deflate.compress(chunk)) for chunk in iter(lambda: opened.read(_CHUNK_BYTES), b""))
    return size + len(deflate.flush())
