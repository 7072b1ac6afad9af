"""False alarms, delay and cost of the drift detectors: `python -m bench.drift [--quick] [--json FILE] [--markdown FILE]`.

Traffic is synthetic, with fixed seeds (`bench/drift_traffic.py`). False alarms are counted over many times the windows that the budget allows one for, against
several baselines of each size: the promise is made over both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from scipy import stats

from bench.drift_shifts import Change, all_together, blanked, relabelled, shifted, spread, together
from bench.drift_traffic import DAILY, KINDS, NUMBERS, WINDOW_ROWS, WINDOWS_A_DAY, Traffic, independent, tide
from bench.report import machine_sentence, markdown_table, write_json
from detectors.arrays import Columns
from detectors.baseline import build_baseline
from detectors.cycle import Cycle, Timed
from detectors.drift import DriftDetector
from detectors.joint_watch import NAME as ALL_NUMBERS
from detectors.pair_watch import NAME as CORRELATIONS
from detectors.summary import WindowAccumulator
from detectors.windows import WindowPolicy
from records.baseline import Baseline

BY_ROWS = WindowPolicy(max_rows=WINDOW_ROWS, max_seconds=None)
BASELINE_ROWS = (500, 5_000, 50_000)
BASELINE_DAYS = (2, 7)  # of traffic with a daily cycle
FALSE_ALARM_BUDGET = 100.0  # windows
DELAY_BUDGET = 1_000.0
DELAY_LIMIT = 60  # windows after which a shift counts as not found


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    baselines: int
    windows: int
    """Without drift, against each baseline."""
    shifts: int
    """Runs of each change, against each baseline."""


FULL = Plan(baselines=4, windows=500, shifts=3)
QUICK = Plan(baselines=1, windows=200, shifts=2)


_TOGETHER = {
    f"correlation 0 → {to}, {what}": change(to)
    for change, what, to in ((together, "1 pair", 0.3), (all_together, "all pairs", 0.1), (all_together, "all pairs", 0.3))
}
SHIFTS: dict[str, Change] = {
    "mean +0.05 sd, 1 feature (below the floor)": shifted(0.05),
    "mean +0.1 sd, 1 feature (at the floor)": shifted(0.1),
    "mean +0.1 sd, 3 features (at the floor)": shifted(0.1, 3),
    "mean +0.15 sd, 1 feature": shifted(0.15),
    "mean +0.25 sd, 1 feature": shifted(0.25),
    "mean +0.25 sd, 2 features": shifted(0.25, 2),
    "variance ×1.5, 1 feature": spread(1.5),
    "2% missing, 1 feature": blanked(50),
    "2% of a level never seen": relabelled(0.02, "new"),
    "10% of rows to another level": relabelled(0.1, "level 5"),
    "mean +0.05 sd, all numbers (below the floor)": shifted(0.05, NUMBERS),
    "mean +0.1 sd, all numbers (at the floor)": shifted(0.1, NUMBERS),
    "mean +0.15 sd, all numbers": shifted(0.15, NUMBERS),
    "variance ×1.2, all numbers": spread(1.2, NUMBERS),
    **_TOGETHER,
}


def learn(traffic: Traffic, rows: int, cycle: Cycle | None = None) -> Baseline:
    timed = Timed(traffic.times_ns(rows), cycle) if cycle else None
    return build_baseline(traffic.rows(rows), model="bench", source="synthetic", created_at_ns=0, timed=timed)


def alerts(detector: DriftDetector, windows: Iterator[Columns], times_ns: np.ndarray | None = None) -> Iterator[tuple[bool, tuple[str, ...]]]:
    for index, window in enumerate(windows):
        times = np.zeros(WINDOW_ROWS, dtype=np.int64) if times_ns is None else times_ns[index * WINDOW_ROWS :][:WINDOW_ROWS]
        for _, verdict in detector.update(window, times):
            yield verdict.alert, verdict.carriers


def false_alarms(traffic_of: Callable[[int], Traffic], rows: int, plan: Plan, cycle: Cycle | None = None) -> int:
    """Count alerts without drift, against several baselines."""
    count = 0
    for seed in range(plan.baselines):
        traffic = traffic_of(1_000 * rows + seed)
        detector = DriftDetector(learn(traffic, rows, cycle), threshold=FALSE_ALARM_BUDGET, windows=BY_ROWS)
        times_ns = traffic.times_ns(plan.windows * WINDOW_ROWS)
        count += sum(alert for alert, _ in alerts(detector, (traffic.rows(WINDOW_ROWS) for _ in range(plan.windows)), times_ns))
    return count


@dataclass(frozen=True)
class Delays:
    """Windows until a shift was alerted, over several runs; the limit where it was not."""

    windows: tuple[int, ...]
    named_exactly: int

    @property
    def found(self) -> int:
        return sum(delay <= DELAY_LIMIT for delay in self.windows)


def delays(detectors: Sequence[DriftDetector], change: Change, plan: Plan) -> Delays:
    """Measure how long a change takes to be found, after a few windows without it."""
    found: list[int] = []
    named = 0
    for seed, detector in enumerate(detectors):
        fresh = detector.snapshot()
        for run in range(plan.shifts):
            traffic = Traffic(7_000 + 100 * seed + run, independent)
            truth = _names_changed(change, traffic.rows(WINDOW_ROWS))
            windows = (traffic.rows(WINDOW_ROWS) if index < 3 else change(traffic.rows(WINDOW_ROWS)) for index in range(3 + DELAY_LIMIT))
            delay, names = next(((index - 2, names) for index, (alert, names) in enumerate(alerts(detector, windows)) if alert), (DELAY_LIMIT + 1, ()))
            found.append(delay)
            named += _are_exact(set(names), truth)
            detector.restore(fresh)
    return Delays(tuple(found), named)


def _names_changed(change: Change, rows: dict[str, np.ndarray]) -> set[str]:
    if change in _TOGETHER.values():
        return {CORRELATIONS}
    changed = {name for name, column in change(dict(rows)).items() if not np.array_equal(column, rows[name])}
    return changed | {ALL_NUMBERS} if len(changed) == NUMBERS else changed


def _are_exact(names: set[str], truth: set[str]) -> bool:
    """Return whether what changed was named, and nothing else; where all numbers did, some of them may be named beside them."""
    return names <= truth and ALL_NUMBERS in names if ALL_NUMBERS in truth else names == truth


def cost_of_rows(baseline: Baseline, batch: int) -> float:
    """Measure CPU microseconds per row of summaries, in batches."""
    rows = Traffic(1, independent).rows(20_000)
    begin = time.process_time()
    summary = WindowAccumulator(baseline)
    for first in range(0, 20_000, batch):
        summary.add(rows, first, first + batch)
    return (time.process_time() - begin) / 20_000 * 1e6


def cost_of_window(detector: DriftDetector) -> float:
    """Measure CPU milliseconds of the tests and the evidence of one window."""
    accumulator = WindowAccumulator(detector.baseline)
    accumulator.add(Traffic(2, independent).rows(WINDOW_ROWS), 0, WINDOW_ROWS)
    summary = accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=0)
    detector.test(summary)
    begin = time.process_time()
    for _ in range(50):
        detector.test(summary)
    return (time.process_time() - begin) / 50 * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer baselines, windows and runs")
    parser.add_argument("--json", type=Path, default=Path("bench/results/drift.json"), help="where to write the figures (default: %(default)s)")
    parser.add_argument("--markdown", type=Path, help="where to write the tables as well")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    begin = time.process_time()
    quiet = {(kind, rows): false_alarms(traffic_of, rows, plan) for kind, traffic_of in KINDS.items() for rows in BASELINE_ROWS}
    daily = {days: false_alarms(lambda seed: Traffic(seed, tide(0.3)), days * WINDOWS_A_DAY * WINDOW_ROWS, plan, Cycle.DAY) for days in BASELINE_DAYS}
    detectors = [DriftDetector(learn(Traffic(seed, independent), 5_000), threshold=DELAY_BUDGET, windows=BY_ROWS) for seed in range(plan.baselines)]
    found = {name: delays(detectors, change, plan) for name, change in SHIFTS.items()}
    costs = {f"µs per row, batches of {batch:,}": cost_of_rows(detectors[0].baseline, batch) for batch in (1_000, 100)}
    costs["ms per window, tests and evidence"] = cost_of_window(detectors[0])
    text = report(plan, quiet, daily, found, costs, time.process_time() - begin)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n")
    write_json(
        arguments.json,
        {
            "false_alarms": [{"traffic": kind, "baseline_rows": rows, "alerts": count} for (kind, rows), count in quiet.items()],
            "false_alarms_daily": [{"traffic": DAILY, "baseline_days": days, "alerts": count} for days, count in daily.items()],
            "windows_per_row": plan.baselines * plan.windows,
            "delay_windows": {name: shift.windows for name, shift in found.items()},
            "named_exactly": {name: shift.named_exactly for name, shift in found.items()},
            "costs": costs,
        },
    )


def report(plan: Plan, quiet: dict[tuple[str, int], int], daily: dict[int, int], found: dict[str, Delays], costs: dict[str, float], seconds: float) -> str:
    windows, runs = plan.baselines * plan.windows, plan.baselines * plan.shifts
    allowed = windows / FALSE_ALARM_BUDGET
    bound = int(stats.poisson.ppf(0.99, allowed))
    about = f"Made by `python -m bench.drift` in {seconds:.0f} s of CPU on {machine_sentence()}. 30 numeric and 3 categorical features, windows of 1,000 rows."
    about_alarms = (
        f"Traffic that does not drift, {windows:,} windows in each cell ({plan.baselines} baselines × {plan.windows}). The budget is one alert per"
        f" {FALSE_ALARM_BUDGET:.0f} windows: {allowed:.0f} are allowed, and up to {bound} are within the 99% bound of a Poisson count."
    )
    about_delays = (
        f"Independent rows, {plan.baselines} baselines of 5,000, a budget of one alert per {DELAY_BUDGET:,.0f} windows; {runs} runs of {DELAY_LIMIT} windows at most."
        " A delay of 1 is the first window that has the change in it. A shift below the floor is not to be alerted."
    )
    alarm_rows = [[kind, *(str(quiet[kind, rows]) for rows in BASELINE_ROWS)] for kind in KINDS]
    about_daily = (
        f"{DAILY.capitalize()}, against baselines with `--cycle day`, in windows of half an hour: "
        + ", ".join(f"{count} alerts with {days} days" for days, count in daily.items())
        + "."
    )
    delay_rows = [
        [name, f"{shift.found}/{runs}", _delay(median(shift.windows)), _delay(max(shift.windows)), f"{shift.named_exactly}/{runs}"]
        for name, shift in found.items()
    ]
    parts = [
        "# Drift, as measured",
        about,
        "## False alarms",
        about_alarms,
        markdown_table(["alerts without drift, by rows in the baseline", *(f"{rows:,}" for rows in BASELINE_ROWS)], alarm_rows),
        about_daily,
        "## Delay",
        about_delays,
        markdown_table(["change", "found", "median delay", "longest", "names exactly what changed"], delay_rows),
        "## Cost",
        markdown_table(["what", "CPU"], [[name, f"{value:.2f}"] for name, value in costs.items()]),
    ]
    return "\n\n".join(parts)


def _delay(windows: float) -> str:
    return f"{windows:g}" if windows <= DELAY_LIMIT else f"over {DELAY_LIMIT}"


if __name__ == "__main__":
    main()
