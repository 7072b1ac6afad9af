"""What serving leaves of a GPU: `python -m bench.gpu`, on a machine with a CUDA device and the extras `gpu` and `tools`.

- Bare: `run_with_iobinding` in a loop, inputs and outputs on the device from beginning to end, at the number of rows that gives the most.
- Ours: `runtime.session.Session`, arrays in and arrays out as a server has them, computed by one or more instances at a time. For each p99 target the
  instances and rows that give the most among those that keep it; a request waits for the batch before its own, so that a batch may take half of the target.

Graphs are built here with random weights. The device's busy share is what NVML says, sampled every 20 ms (`pip install nvidia-ml-py`).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime

from bench import random_graphs
from bench.report import machine_sentence, markdown_table, write_json
from config.choices import Device
from runtime.session import Array, ModelError, Session
from runtime.tools.quantize import halve_precision
from runtime.tools.rows import made_up_inputs

_PROMISED_RATIO = 0.9
_TARGETS_MS = (10, 25, 50, 100)
_INSTANCES = (1, 2, 4)
_SAMPLE_SECONDS = 0.02

_GRAPHS: dict[str, Callable[[Path], object]] = {"MLP": random_graphs.mlp, "ResNet-50": random_graphs.resnet50, "BERT-base": random_graphs.bert_base}
_SMALL_GRAPHS: dict[str, Callable[[Path], object]] = {
    "MLP": random_graphs.mlp,
    "ResNet, small": lambda path: random_graphs.resnet50(path, blocks=(1, 1), side=32),
    "BERT, small": lambda path: random_graphs.bert_base(path, layers=1, tokens=16, width=128, vocabulary=100),
}


class Served(msgspec.Struct, frozen=True):
    """The most that a p99 target allows."""

    target_ms: float
    instances: int
    rows: int
    """In a batch; 0 where no batch keeps the target."""
    rows_per_second: float
    p99_ms: float
    """Of a request: twice a batch's."""
    busy_ratio: float | None
    """Share of time in which the device computed; none where nothing says it."""


class Figures(msgspec.Struct, frozen=True):
    """One graph in one precision."""

    graph: str
    precision: str
    bare_rows: int
    bare_rows_per_second: float
    served: list[Served]


class Timed(msgspec.Struct, frozen=True):
    """Batches of one size by some instances."""

    instances: int
    rows: int
    rows_per_second: float
    batch_p99_seconds: float
    busy_ratio: float | None


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.gpu", description="An MLP, a ResNet-50 and a BERT-base with random weights on a CUDA device.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu only shows that the command works")
    parser.add_argument("--quick", action="store_true", help="small graphs and short runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments: Any = parser.parse_args()
    print(f"{machine_sentence()}.\n", flush=True)
    try:
        figures = list(measure(Device(arguments.device), quick=arguments.quick))
    except ModelError as error:
        print(f"bench.gpu: {error}", file=sys.stderr)
        return 1
    print(report(figures))
    if arguments.json:
        write_json(arguments.json, {"device": device_name(), "figures": msgspec.to_builtins(figures)})
    return 0


def report(figures: Sequence[Figures]) -> str:
    """Return the figures as Markdown."""
    heads = ("graph", "bare, rows/s", "rows", "p99 target", "instances", "rows", "rows/s", "of bare", "p99", "device busy")
    rows = [_row(graph, served) for graph in figures for served in graph.served]
    kept = [max(served.rows_per_second for served in graph.served) >= _PROMISED_RATIO * graph.bare_rows_per_second for graph in figures]
    promises = [
        f"- {graph.graph}, {graph.precision}: {max(served.rows_per_second for served in graph.served) / graph.bare_rows_per_second:.0%} of bare (promised: at least 90%), "
        f"{'kept' if is_kept else 'NOT kept'}"
        for graph, is_kept in zip(figures, kept, strict=True)
    ]
    return markdown_table(heads, rows) + "\n\n" + "\n".join(promises)


def _row(graph: Figures, served: Served) -> tuple[str, ...]:
    head = (f"{graph.graph}, {graph.precision}", f"{graph.bare_rows_per_second:,.0f}", f"{graph.bare_rows:,}", f"{served.target_ms:g} ms")
    if not served.rows:
        return (*head, *("–",) * 6)
    busy = "not known" if served.busy_ratio is None else f"{served.busy_ratio:.0%}"
    share = served.rows_per_second / graph.bare_rows_per_second
    return (*head, f"{served.instances}", f"{served.rows:,}", f"{served.rows_per_second:,.0f}", f"{share:.0%}", f"{served.p99_ms:.1f} ms", busy)


def measure(device: Device, *, quick: bool) -> Iterator[Figures]:
    """Yield the figures of each graph and precision. Raises ModelError where the device is not there."""
    seconds = 0.05 if quick else 1.5
    sizes = (1, 8) if quick else (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    with tempfile.TemporaryDirectory(prefix="driftline-gpu-") as directory:
        for name, build in (_SMALL_GRAPHS if quick else _GRAPHS).items():
            full = Path(directory) / "fp32.onnx"
            build(full)
            half = Path(directory) / "fp16.onnx"
            halve_precision(full, half)
            for precision, file in (("FP32", full), ("FP16", half)):
                print(f"{name}, {precision}", file=sys.stderr, flush=True)
                yield _measured(name, precision, Session(file, device=device), _bare_session(file, device), sizes, seconds)


def _measured(name: str, precision: str, session: Session, bare: Any, sizes: Sequence[int], seconds: float) -> Figures:
    inputs = made_up_inputs(session.signature, max(sizes))
    best_rows, best = max(((rows, _bare(bare, session, inputs, rows, seconds)) for rows in sizes), key=lambda found: found[1])
    timed = [_timed(session, inputs, rows, instances, seconds) for instances in _INSTANCES for rows in sizes if rows <= 2 * best_rows]
    return Figures(name, precision, best_rows, best, [_best_within(target, timed) for target in _TARGETS_MS])


def _best_within(target_ms: float, timed: Sequence[Timed]) -> Served:
    fitting = [found for found in timed if 2 * found.batch_p99_seconds <= target_ms / 1e3]
    if not fitting:
        return Served(target_ms, 0, 0, 0.0, 0.0, None)
    best = max(fitting, key=lambda found: found.rows_per_second)
    return Served(target_ms, best.instances, best.rows, best.rows_per_second, 2e3 * best.batch_p99_seconds, best.busy_ratio)


def _bare_session(file: Path, device: Device) -> Any:
    providers = ["CUDAExecutionProvider"] if device is Device.CUDA else ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(str(file), providers=providers)


def _bare(bare: Any, session: Session, inputs: Sequence[Array], rows: int, seconds: float) -> float:
    """Return rows per second of the loop alone."""
    binding = bare.io_binding()
    for spec, array in zip(session.signature.inputs, inputs, strict=True):
        binding.bind_ortvalue_input(spec.name, onnxruntime.OrtValue.ortvalue_from_numpy(array[:rows], session.device.value))
    for spec in session.signature.outputs:
        binding.bind_output(spec.name, session.device.value)
    for _ in range(3):
        bare.run_with_iobinding(binding)
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        bare.run_with_iobinding(binding)
        runs += 1
    binding.synchronize_outputs()
    return runs * rows / (time.perf_counter() - started)


def _timed(session: Session, inputs: Sequence[Array], rows: int, instances: int, seconds: float) -> Timed:
    """Let so many threads compute batch after batch."""
    batch = [array[:rows] for array in inputs]
    session.run(batch)
    taken: list[list[float]] = [[] for _ in range(instances)]
    started = time.perf_counter()
    threads = [threading.Thread(target=_compute, args=(session, batch, started + seconds, times)) for times in taken]
    with _busy() as samples:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - started
    every = sorted(time for times in taken for time in times)
    return Timed(
        instances, rows, len(every) * rows / elapsed, every[min(len(every) - 1, int(0.99 * len(every)))], statistics.fmean(samples) if samples else None
    )


def _compute(session: Session, batch: Sequence[Array], until: float, times: list[float]) -> None:
    while not times or time.perf_counter() < until:
        began = time.perf_counter()
        session.run(batch)
        times.append(time.perf_counter() - began)


@contextmanager
def _busy() -> Iterator[list[float]]:
    """Sample the device's busy share, 0–1, while the body runs; nothing where NVML is not there."""
    samples: list[float] = []
    done = threading.Event()
    handle = _nvml_device()
    sampler = threading.Thread(target=_sample, args=(handle, samples, done))
    if handle is not None:
        sampler.start()
    try:
        yield samples
    finally:
        done.set()
        if handle is not None:
            sampler.join()


def _sample(handle: Any, samples: list[float], done: threading.Event) -> None:
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    while not done.wait(_SAMPLE_SECONDS):
        samples.append(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)


def _nvml_device() -> Any:
    try:
        import pynvml  # noqa: PLC0415 - only where there is a GPU

        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByIndex(0)
    except Exception:  # noqa: BLE001 - NVML's errors derive from Exception alone; a missing package is one more way to have none
        return None


def device_name() -> str:
    """Return the GPU's name, empty where there is none."""
    handle = _nvml_device()
    if handle is None:
        return ""
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    return str(pynvml.nvmlDeviceGetName(handle))


if __name__ == "__main__":
    sys.exit(main())
