"""False alarms, delay and cost of watching vectors: `python -m bench.vectors [--quick | --costs] [--json FILE]`.

Vectors of 128 values whose variances fall as those of embeddings do, with fixed seeds. What is counted is as in `bench.drift`: alerts of everything that is made of a vector (MMD,
reconstruction error, length, dimension) together. Costs are of vectors of 768 values.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

import msgspec
import numpy as np
from scipy import signal, stats

from bench.report import machine_sentence, markdown_table, write_json
from detectors.arrays import Columns
from detectors.baseline import build_baseline
from detectors.columns import ColumnBuffer
from detectors.derived import Derivation
from detectors.drift import DriftDetector
from detectors.summary import WindowAccumulator
from detectors.windows import WindowPolicy
from records.baseline import Baseline
from records.payload import Decoded, Failed, Tensor, Undecodable

WIDTH = 128
EMBEDDING = 768
WINDOW_ROWS = 300
BASELINE_ROWS = (500, 5_000)
FALSE_ALARM_BUDGET = 100.0  # windows
DELAY_BUDGET = 1_000.0
DELAY_LIMIT = 40  # windows after which a change counts as not found
POLICY = WindowPolicy(max_rows=WINDOW_ROWS, max_seconds=None)
MIX = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)) * np.arange(1, WIDTH + 1)[:, None] ** -0.7
DEVIATION = np.sqrt((MIX**2).sum(axis=0))

Rows: TypeAlias = np.ndarray
Traffic: TypeAlias = Callable[[np.random.Generator, int], Rows]
"""Of a generator and a number of rows: rows × `WIDTH`."""
Change: TypeAlias = Callable[[Rows], Rows]


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    baselines: int
    windows: int
    """Without drift, against each baseline."""
    runs: int
    """Of each change, against each baseline."""


FULL = Plan(baselines=4, windows=250, runs=3)
QUICK = Plan(baselines=1, windows=30, runs=1)


class Figures(msgspec.Struct, frozen=True):
    """What a run gave."""

    windows: int
    """Without drift, in each cell."""
    false_alarms: dict[str, tuple[int, ...]]
    """By kind of traffic, for each size of baseline."""
    delays: dict[str, tuple[int, ...]]
    """Windows until a change was alerted, one past the limit where it was not."""


def independent(rng: np.random.Generator, rows: int) -> Rows:
    return rng.normal(size=(rows, WIDTH)) @ MIX


def following(correlation: float) -> Traffic:
    """Rows follow each other."""

    def traffic(rng: np.random.Generator, rows: int) -> Rows:
        noise = rng.normal(size=(rows + 200, WIDTH))
        return np.asarray(signal.lfilter([np.sqrt(1 - correlation**2)], [1, -correlation], noise, axis=0)[200:]) @ MIX

    return traffic


def bursts(rng: np.random.Generator, rows: int) -> Rows:
    """Users of 20 requests on average, whose rows are alike (a correlation of 0.5)."""
    users = np.repeat(rng.normal(size=(rows, WIDTH)), rng.geometric(1 / 20, size=rows), axis=0)[:rows]
    return (np.sqrt(0.5) * users + np.sqrt(0.5) * rng.normal(size=(rows, WIDTH))) @ MIX


def wandering(rng: np.random.Generator, rows: int) -> Rows:
    """Means of windows wander, AR(1) 0.8."""
    windows = -(-rows // WINDOW_ROWS)
    means = signal.lfilter([0.6], [1, -0.8], rng.normal(size=(windows + 30, WIDTH)), axis=0)[30:]
    return independent(rng, rows) + 0.05 * np.repeat(means @ MIX, WINDOW_ROWS, axis=0)[:rows]


def heavy_tails(rng: np.random.Generator, rows: int) -> Rows:
    """Student's t with two degrees of freedom."""
    return np.asarray(rng.standard_t(2, size=(rows, WIDTH))) @ MIX


def topics(rng: np.random.Generator, rows: int) -> Rows:
    """Vectors of length 1 about twelve centres, the rarest in one row of a hundred."""
    centres = np.random.default_rng(1).normal(size=(12, WIDTH))
    shares = np.geomspace(1, 0.03, 12)
    found = centres[rng.choice(12, rows, p=shares / shares.sum())] + 0.7 * rng.normal(size=(rows, WIDTH))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


KINDS: dict[str, Traffic] = {
    "independent rows": independent,
    "rows that follow each other, AR(1) 0.5": following(0.5),
    "AR(1) 0.9": following(0.9),
    "bursts of alike rows": bursts,
    "heavy tails, t(2)": heavy_tails,
    "topics, vectors of length 1": topics,
    "window means that wander, AR(1) 0.8, 0.05 sd": wandering,
}


def _few_values(rows: Rows) -> Rows:
    moved = rows.copy()
    moved[:, : WIDTH // 8] += 0.5 * DEVIATION[: WIDTH // 8]
    return moved


def _new_kind(share: float) -> Change:
    def change(rows: Rows) -> Rows:
        moved = rows.copy()
        moved[:: round(1 / share)] += 3 * DEVIATION
        return moved

    return change


CHANGES: dict[str, Change] = {
    "mean +0.05 sd in all values (below the floor)": lambda rows: rows + 0.05 * DEVIATION,
    "mean +0.15 sd in all values": lambda rows: rows + 0.15 * DEVIATION,
    "mean +0.5 sd in an eighth of the values": _few_values,
    "spread ×1.2": lambda rows: rows * 1.2,
    "5% of rows of a new kind": _new_kind(0.05),
    "10% of rows of a new kind": _new_kind(0.1),
    "values in another order": lambda rows: rows[:, np.random.default_rng(2).permutation(WIDTH)],
    "rounded to half precision (no change)": lambda rows: rows.astype(np.float16).astype(np.float64),
}


def columns_of(rows: Rows) -> Columns:
    return {"e": rows.astype(np.float32), "e.dimension": np.full(len(rows), float(rows.shape[1]))}


def learn(rows: Rows) -> Baseline:
    return build_baseline(columns_of(rows), model="bench", source="synthetic", created_at_ns=0)


def alerts(detector: DriftDetector, rows: Rows) -> list[bool]:
    return [verdict.alert for _, verdict in detector.update(columns_of(rows), np.zeros(len(rows), dtype=np.int64))]


def false_alarms(traffic: Traffic, rows: int, plan: Plan) -> int:
    """Count alerts without drift, against several baselines."""
    count = 0
    for seed in range(plan.baselines):
        made = traffic(np.random.default_rng(1_000 * rows + seed), rows + plan.windows * WINDOW_ROWS)
        detector = DriftDetector(learn(made[:rows]), threshold=FALSE_ALARM_BUDGET, windows=POLICY)
        count += sum(alerts(detector, made[rows:]))
    return count


def delays(detectors: list[DriftDetector], change: Change, runs: int) -> tuple[int, ...]:
    """Measure how many windows a change takes to be alerted, after a few without it."""
    found: list[int] = []
    for seed, detector in enumerate(detectors):
        fresh = detector.snapshot()
        for run in range(runs):
            detector.restore(fresh)
            rng = np.random.default_rng(10_000 * seed + run)
            alerts(detector, independent(rng, 5 * WINDOW_ROWS))
            windows = (any(alerts(detector, change(independent(rng, WINDOW_ROWS)))) for _ in range(DELAY_LIMIT))
            found.append(next((number for number, alert in enumerate(windows, start=1) if alert), DELAY_LIMIT + 1))
        detector.restore(fresh)
    return tuple(found)


def costs() -> dict[str, float]:
    """Measure CPU of each step, for vectors of 768 values."""
    rows = np.random.default_rng(3).normal(size=(4_000, EMBEDDING))
    columns = columns_of(rows)
    begin = time.process_time()
    baseline = build_baseline(columns, model="bench", source="synthetic", created_at_ns=0)
    learning = time.process_time() - begin
    detector, derive, accumulator = DriftDetector(baseline, threshold=100.0, windows=POLICY), Derivation(baseline), WindowAccumulator(baseline)
    tensors = [Decoded("openai", [Tensor("e", "FP64", (1, EMBEDDING), row.tolist())]) for row in rows[:1_000]]
    buffer, nothing = ColumnBuffer(max_features=10), Failed("", Undecodable.EMPTY)

    def collect() -> None:
        for decoded in tensors:
            buffer.add(decoded, nothing, 0)
        buffer.take()

    def count() -> None:
        accumulator.add(derive({name: column[:1_000] for name, column in columns.items()}), 0, 1_000)

    count()
    summary = accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=0)
    detector.test(summary)
    return {
        "µs per row, collecting it": _cpu_us(collect) / 1_000,
        "µs per row, what is made of it and counting that": _cpu_us(count) / 1_000,
        "ms per window, tests and evidence": _cpu_us(lambda: detector.test(summary)) / 1_000,
        "ms per baseline of 4,000 rows": learning * 1e3,
        "KiB of JSON for the baseline": len(msgspec.json.encode(baseline)) / 1024,
        "KiB of JSON for a window": len(msgspec.json.encode(summary)) / 1024,
    }


def _cpu_us(work: Callable[[], object]) -> float:
    """Return the CPU of the best of five times."""
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best * 1e6


def measured(plan: Plan) -> Figures:
    detectors = [
        DriftDetector(learn(independent(np.random.default_rng(seed), 5_000)), threshold=DELAY_BUDGET, windows=POLICY) for seed in range(plan.baselines)
    ]
    return Figures(
        windows=plan.baselines * plan.windows,
        false_alarms={kind: tuple(false_alarms(traffic, rows, plan) for rows in BASELINE_ROWS) for kind, traffic in KINDS.items()},
        delays={name: delays(detectors, change, plan.runs) for name, change in CHANGES.items()},
    )


def report(figures: Figures) -> str:
    """Return false alarms and delays as tables."""
    allowed = figures.windows / FALSE_ALARM_BUDGET
    bound = int(stats.poisson.ppf(0.99, allowed))
    runs = len(next(iter(figures.delays.values())))
    about = (
        f"Vectors of {WIDTH} values, windows of {WINDOW_ROWS} rows. Without drift, {figures.windows:,} windows in each cell; the budget of one alert per"
        f" {FALSE_ALARM_BUDGET:.0f} windows allows {allowed:.0f}, and up to {bound} are within the 99% bound of a Poisson count."
    )
    about_delays = (
        f"Independent rows, baselines of 5,000, a budget of one alert per {DELAY_BUDGET:,.0f} windows; {runs} runs of {DELAY_LIMIT} windows at most."
        " A delay of 1 is the first window with the change in it."
    )
    parts = [
        about,
        markdown_table(
            ["alerts without drift, by rows in the baseline", *(f"{rows:,}" for rows in BASELINE_ROWS)],
            [[kind, *map(str, counts)] for kind, counts in figures.false_alarms.items()],
        ),
        about_delays,
        markdown_table(
            ["change", "found", "median delay", "longest"],
            [
                [name, f"{sum(delay <= DELAY_LIMIT for delay in found)}/{runs}", _delay(median(found)), _delay(max(found))]
                for name, found in figures.delays.items()
            ],
        ),
    ]
    return "\n\n".join(parts)


def _delay(windows: float) -> str:
    return f"{windows:g}" if windows <= DELAY_LIMIT else f"over {DELAY_LIMIT}"


def cost_report(measured_costs: dict[str, float]) -> str:
    """Return what it costs as a table."""
    return markdown_table([f"vectors of {EMBEDDING} values", "CPU, size"], [[name, f"{value:.1f}"] for name, value in measured_costs.items()])


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.vectors", description="False alarms, delay and cost of watching vectors.")
    parser.add_argument("--quick", action="store_true", help="fewer baselines, windows and runs")
    parser.add_argument("--costs", action="store_true", help="measure what it costs instead, in some seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args(words)
    figures = costs() if arguments.costs else measured(QUICK if arguments.quick else FULL)
    print(machine_sentence() + "\n")
    print(report(figures) if isinstance(figures, Figures) else cost_report(figures))
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


if __name__ == "__main__":
    main()
