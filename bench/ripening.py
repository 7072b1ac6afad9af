"""What it does that learned baselines ripen: `python -m bench.ripening [--quick] [--json FILE]`.

A baseline is learned from the first 5,000 rows and stays so, or grows as `driftline.ripening` has it. False alerts of traffic whose window means wander, which so few rows cannot show; and when a drift
that began with the traffic itself is alerted, and how far it had gone by then: the price.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bench.drift import BY_ROWS, FALSE_ALARM_BUDGET
from bench.drift_traffic import KINDS, WINDOW_ROWS, Traffic, independent
from bench.report import markdown_table, write_json
from detectors.arrays import joined
from detectors.baseline import LEARNED, build_baseline
from detectors.drift import DriftDetector
from driftline.ripening import may_grow
from driftline.stored_baseline import ROWS_AT_MOST
from records.verdict import Verdict

_LEARNED_ROWS: Final = 5_000
_QUIET: Final = ("independent rows", "rows that follow each other, AR(1) 0.5", "window means that wander, AR(1) 0.8, 0.05 sd")
_TRENDS: Final = (0.002, 0.005, 0.01, 0.02)  # standard deviations per window

Rows = dict[str, np.ndarray]


class Plan(NamedTuple):
    """How much is run."""

    baselines: int
    windows: int


FULL: Final = Plan(baselines=4, windows=300)
QUICK: Final = Plan(baselines=1, windows=80)


class Figures(msgspec.Struct):
    """Of fixed and of ripening baselines."""

    windows: int
    alerts: dict[str, tuple[int, int]]
    trends: dict[str, tuple[list[int], list[int]]]
    """Windows from the beginning of the traffic to the alert; one more than there were where none came."""


def verdicts(rows_of: Callable[[int], Rows], windows: int, *, ripens: bool) -> Iterator[Verdict]:
    """Yield the verdict of each window behind the rows that a baseline is learned from, which `rows_of` so many gives."""
    seen = [rows_of(_LEARNED_ROWS)]
    detector, rows = _detector(seen), 0
    for _ in range(windows):
        window = rows_of(WINDOW_ROWS)
        ((_, verdict),) = detector.update(window, np.zeros(WINDOW_ROWS, dtype=np.int64))
        yield verdict
        ripens = ripens and not verdict.alert
        if not ripens:
            continue
        seen.append(window)
        rows += WINDOW_ROWS
        if may_grow(detector.baseline.rows, rows, verdict):
            detector, rows = _detector(seen), 0


def _detector(seen: list[Rows]) -> DriftDetector:
    whole = {name: column[-ROWS_AT_MOST:] for name, column in joined(seen).items()}
    return DriftDetector(build_baseline(whole, model="bench", source=LEARNED, created_at_ns=0), threshold=FALSE_ALARM_BUDGET, windows=BY_ROWS)


def alerts(kind: str, plan: Plan, *, ripens: bool) -> int:
    """Count alerts of traffic that does not drift."""
    return sum(verdict.alert for seed in range(plan.baselines) for verdict in verdicts(KINDS[kind](5_000_000 + seed).rows, plan.windows, ripens=ripens))


def delays(per_window: float, plan: Plan, *, ripens: bool) -> list[int]:
    """Return after how many windows from its beginning a trend of one number is alerted."""
    found = []
    for seed in range(plan.baselines):
        run = verdicts(_trending(Traffic(6_000_000 + seed, independent), per_window), plan.windows, ripens=ripens)
        found.append(_LEARNED_ROWS // WINDOW_ROWS + next((index + 1 for index, verdict in enumerate(run) if verdict.alert), plan.windows + 1))
    return found


def _trending(traffic: Traffic, per_window: float) -> Callable[[int], Rows]:
    first = 0

    def rows(count: int) -> Rows:
        nonlocal first
        found = traffic.rows(count)
        found["number 0"] = found["number 0"] + per_window / WINDOW_ROWS * (first + np.arange(count))
        first += count
        return found

    return rows


def report(figures: Figures) -> str:
    """Return the tables."""
    quiet = markdown_table(
        ["alerts without drift, by baseline", "5,000 rows", "ripening"], [[kind, *map(str, counts)] for kind, counts in figures.alerts.items()]
    )
    trends = markdown_table(
        ["a drift of one number from the first row on", "5,000 rows: alert after", "ripening: alert after"],
        [[f"{float(each):g} sd per window", *(_delay(runs, float(each), figures.windows) for runs in pair)] for each, pair in figures.trends.items()],
    )
    runs = len(next(iter(figures.trends.values()))[0])
    return "\n\n".join(
        [
            f"{runs} baselines × {figures.windows} windows of 1,000 rows, a budget of one alert per {FALSE_ALARM_BUDGET:.0f} windows.",
            quiet,
            "Medians; in brackets how far the drift had gone by then.",
            trends,
        ]
    )


def _delay(runs: list[int], per_window: float, windows: int) -> str:
    middle = median(runs)
    return f"{middle:g} windows ({middle * per_window:.2g} sd)" if middle <= windows + _LEARNED_ROWS // WINDOW_ROWS else f"over {windows}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer baselines and windows: to see that it runs")
    parser.add_argument("--json", type=Path, default=Path("bench/results/ripening.json"), help="where to write the figures (default: %(default)s)")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    figures = Figures(
        plan.windows,
        {kind: (alerts(kind, plan, ripens=False), alerts(kind, plan, ripens=True)) for kind in _QUIET},
        {str(each): (delays(each, plan, ripens=False), delays(each, plan, ripens=True)) for each in _TRENDS},
    )
    print(report(figures))
    write_json(arguments.json, msgspec.to_builtins(figures))


if __name__ == "__main__":
    main()
