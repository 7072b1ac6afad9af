"""`driftline runtime score`: a model's answers to rows of a file or of a period in the store."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from config.choices import Device
from config.options import settings_of
from config.settings import RouteSettings, Settings
from driftline.scoring.columns import column_of
from driftline.scoring.job import Job, begin, held
from driftline.scoring.parts import Done, Parts
from driftline.scoring.recording import Recording, SpoolFullError, require_keys
from driftline.scoring.requests import Scored, exchange_of, rows_within
from driftline.tools.asked import rows_asked, told, version_asked
from driftline.tools.row_source import Block, RowSource
from records.exchange import Exchange
from runtime.repository import Version
from runtime.session import Session, threads_for
from runtime.signature import TensorSpec
from runtime.tools.errors import ToolError

_PART_ROWS: Final = 65_536
_PART_BYTES: Final = 64 << 20
_BATCH_ROWS: Final = 1_024
_BATCH_BYTES: Final = 8 << 20
_INTERRUPTED: Final = 130
_FREE_LENGTH: Final = 128
_TEXT_BYTES: Final = 32
_ROUTE: Final = RouteSettings(upstream=(), name="score")

Advance: TypeAlias = Callable[[int], None]
"""Takes how many more rows are done."""


def run(name: str, arguments: argparse.Namespace) -> int:
    """Return 0 where every row is answered, 1 where it stopped before, 2 where something that was named cannot be used."""
    try:
        return told(name, lambda: _run(arguments))
    except SpoolFullError as error:
        sys.stderr.write(f"driftline runtime score: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("driftline runtime score: interrupted; the same command goes on with the next part\n")
        return _INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments, routes_needed=False)
    version = version_asked(arguments)
    session = Session(version.file, device=Device(arguments.device), threads=threads_for(1), outputs=version.settings.outputs)
    source = rows_asked(arguments, session.signature, kept=arguments.keep)
    assert source is not None
    _check(session, arguments.keep)
    if arguments.record:
        _check_keys(settings)
    spool = str(settings.spool_directory.resolve()) if arguments.record else ""
    wanted = Job(model=version.model, version=version.number, uuid=str(version.uuid), rows=dict(source.identity), recorded_in=spool)
    with held(arguments.out):
        job = begin(arguments.out, wanted)
        recording = Recording(settings, job.job_id) if arguments.record else None
        parts = Parts(arguments.out, recording)
        done = parts.resume()
        scorer = _Scorer(session, version, settings, parts, recording)
        started = time.perf_counter()
        with _progress(source, done) as advance:
            total = scorer.score(source, done, advance)
    sys.stdout.write(_summary(arguments.out, done, total, time.perf_counter() - started))
    return 0


def _check(session: Session, kept: Sequence[str]) -> None:
    if not session.signature.has_rows:
        raise ToolError(f"the model takes a fixed number of rows at a time ({session.signature}); export it with a first axis of any length")
    twice = [spec.name for spec in session.signature.outputs if spec.name in {*kept, "row"}]
    if twice:
        raise ToolError(f"the column {twice[0]!r} has the name of one of the model's outputs: rename it, or leave it out with --exclude")


def _check_keys(settings: Settings) -> None:
    try:
        require_keys(settings)
    except ValueError as error:
        raise ToolError(str(error)) from None


class _Scorer:
    """One session over one source."""

    def __init__(self, session: Session, version: Version, settings: Settings, parts: Parts, recording: Recording | None) -> None:
        self._session = session
        self._version = version
        self._parts = parts
        self._recording = recording
        self._capture_bytes = int(settings.proxy.capture)
        routes = [route for route in settings.routes if route.model == version.model] or settings.routes
        self._route = routes[0] if len(routes) == 1 else _ROUTE

    def score(self, source: RowSource, done: Done, advance: Advance) -> Done:
        """Write a part for each block that is still to come; return what is there then."""
        for block in source.blocks(done.end, self._fitting(_PART_ROWS, _PART_BYTES)):
            batches = []
            for batch in self._batches(block):
                batches.append(batch)
                advance(len(batch.inputs[0]))
            self._write(done.parts, block, batches)
            done = Done(done.parts + 1, done.rows + block.rows, done.left_out + block.left_out, block.end)
        return done

    def _batches(self, block: Block) -> Iterator[Scored]:
        size = self._fitting(_BATCH_ROWS, _BATCH_BYTES)
        for start in range(0, block.rows, size):
            inputs = [array[start : start + size] for array in block.inputs]
            started_at_ns, started_ns = time.time_ns(), time.perf_counter_ns()
            outputs = self._session.run(inputs)
            yield Scored(inputs, outputs, started_at_ns, time.perf_counter_ns() - started_ns)

    def _write(self, part: int, block: Block, batches: Sequence[Scored]) -> None:
        outputs = [np.concatenate(arrays) for arrays in zip(*(batch.outputs for batch in batches), strict=True)]
        answered = {spec.name: column_of(array) for spec, array in zip(self._session.signature.outputs, outputs, strict=False)}
        self._parts.write(part, {**block.kept, **answered}, end=block.end, left_out=block.left_out)
        if self._recording is not None and batches:
            self._recording.stage(part, [exchange for batch in batches for exchange in self._exchanges(batch)])
        self._parts.finish(part)

    def _exchanges(self, batch: Scored) -> Iterator[Exchange]:
        """Cut a batch into requests whose bodies are kept whole, if those of one row are."""
        first = self._exchange(batch, slice(0, 1))
        rows = rows_within(self._capture_bytes, first, batch)
        for start in range(0, len(batch.inputs[0]), rows):
            yield self._exchange(batch, slice(start, start + rows))

    def _exchange(self, batch: Scored, rows: slice) -> Exchange:
        inputs, outputs = ([array[rows] for array in arrays] for arrays in (batch.inputs, batch.outputs))
        return exchange_of(
            Scored(inputs, outputs, batch.started_at_ns, batch.total_ns),
            self._session.signature,
            model=self._version.model,
            version=self._version.number,
            route=self._route.name,
            capture_bytes=self._capture_bytes,
        )

    def _fitting(self, rows: int, size_bytes: int) -> int:
        """Return how many rows, at most `rows`, have about so many bytes."""
        return max(1, min(rows, size_bytes // sum(_row_bytes(spec) for spec in self._session.signature.inputs)))


def _row_bytes(spec: TensorSpec) -> int:
    """Estimate, where lengths are not fixed."""
    values = math.prod(length if isinstance(length, int) else _FREE_LENGTH for length in spec.shape[1:])
    return max(1, values * (_TEXT_BYTES if spec.datatype == "BYTES" else spec.dtype.itemsize))


@contextmanager
def _progress(source: RowSource, done: Done) -> Iterator[Advance]:
    """Show how far it is, where somebody looks."""
    columns = TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("scoring", total=source.total_rows(), completed=done.rows)
        yield lambda rows: progress.advance(task, rows)


def _summary(directory: Path, before: Done, after: Done, seconds: float) -> str:
    rows = after.rows - before.rows
    lines = [f"{directory}: {after.rows:,} rows in {after.parts:,} parts; {rows:,} of them now, in {seconds:.1f} s ({rows / max(seconds, 1e-9):,.0f} rows/s)"]
    if after.left_out:
        lines.append(f"  {after.left_out:,} stored requests were left out: the model cannot take what they hold, or it was not stored whole")
    return "\n".join(lines) + "\n"
