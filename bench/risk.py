"""How often the detector of risk alerts for nothing, and after how many labels it alerts: `python -m bench.risk`. Seeds are fixed; half a minute.

For each kind of traffic and each size of baseline, baselines are drawn, and on each the detector tests windows of 500 labelled rows that are wrong as often as those of the baseline.
The tolerance is 0, so that evidence alone holds it back; after a false alert it starts again. Delays are with the settings' defaults.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import numpy as np
from scipy import signal

from bench.report import markdown_table, write_json
from config.settings import DriftSettings, LabelSettings
from detectors.budget import evidence_threshold
from detectors.rise import Span
from detectors.risk import Outcomes, RiskDetector, RiskState, build_risk
from records.baseline import Loss

BUDGET_WINDOWS: Final = 50
WINDOW_ROWS: Final = 500
BASELINE_ROWS: Final = (500, 1_000, 5_000, 20_000)
RATE: Final = 0.1
RATES: Final = (0.12, 0.13, 0.15, 0.2, 0.3, 0.5)
_MOST_LABELS: Final = 100_000
_DELAY_WINDOW_ROWS: Final = 50

Draw: TypeAlias = Callable[[np.random.Generator, int], Outcomes]


class FalseAlerts(msgspec.Struct, frozen=True):
    """Of one kind of traffic and one size of baseline."""

    traffic: str
    baseline_rows: int
    windows: int
    alerts: int
    allowed: float


class Delay(msgspec.Struct, frozen=True):
    """From one error rate, against a baseline of 10 %."""

    baseline_rows: int
    rate: float
    found: float
    """Share of the draws."""
    labels: float | None
    """Median until the alert, of those found."""


class Figures(msgspec.Struct, frozen=True):
    """All of it."""

    false_alerts: list[FalseAlerts]
    delays: list[Delay]


def classes(rng: np.random.Generator, rows: int, rate: float | np.ndarray = RATE) -> Outcomes:
    return Outcomes((rng.random(rows) < rate) * 1.0, np.full(rows, np.nan))


def users(rng: np.random.Generator, rows: int) -> Outcomes:
    count = rows // 5
    rates = np.repeat(rng.beta(4 * RATE, 4 * (1 - RATE), count), rng.geometric(0.1, count))[:rows]
    return classes(rng, len(rates), rates)


def numbers(rng: np.random.Generator, rows: int) -> Outcomes:
    return Outcomes(np.ones(rows), np.abs(rng.standard_t(3, rows)))


def remembering(rng: np.random.Generator, rows: int) -> Outcomes:
    return Outcomes(np.ones(rows), np.abs(signal.lfilter([math.sqrt(0.75)], [1, -0.5], rng.normal(size=rows))))


def wandering(rng: np.random.Generator, rows: int) -> Outcomes:
    memory = math.exp(-1 / 300)
    slow = signal.lfilter([math.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=rows + 3_000))[3_000:]
    return classes(rng, rows, np.clip(RATE + 0.03 * slow, 0, 1))


TRAFFIC: Final[dict[str, tuple[Draw, Loss]]] = {
    "classes, independent": (classes, Loss.ERROR_RATE),
    "classes, users who send ten requests in a row": (users, Loss.ERROR_RATE),
    "classes, an error rate that wanders over some 300 rows": (wandering, Loss.ERROR_RATE),
    "numbers, heavy tails (t with 3 degrees)": (numbers, Loss.ABSOLUTE_ERROR),
    "numbers, AR(1) 0.5": (remembering, Loss.ABSOLUTE_ERROR),
}


def false_alerts(traffic: str, baseline_rows: int, baselines: int, windows: int) -> FalseAlerts:
    draw, loss = TRAFFIC[traffic]
    alerts = 0
    for seed in range(baselines):
        outcomes = draw(np.random.default_rng(seed), baseline_rows + windows * WINDOW_ROWS)
        baseline = build_risk(_part(outcomes, 0, baseline_rows), loss, source="bench", created_at_ns=0)
        assert baseline is not None
        detector = RiskDetector(baseline, model="m", threshold=BUDGET_WINDOWS, tolerance=0.0)
        for index in range(windows):
            first = baseline_rows + index * WINDOW_ROWS
            if detector.test(_part(outcomes, first, first + WINDOW_ROWS), "", _span(index)).alert:
                alerts += 1
                detector.restore(RiskState(baseline_id=baseline.baseline_id))
    return FalseAlerts(traffic, baseline_rows, baselines * windows, alerts, baselines * windows / BUDGET_WINDOWS)


def delay(baseline_rows: int, rate: float, draws: int) -> Delay:
    """Windows of 50 labels, an hour apart, at the default budget for one model: its features and its labels share it."""
    settings = DriftSettings()
    threshold = evidence_threshold(settings.budget, window_seconds=settings.window_time, models=2)
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        baseline = build_risk(classes(rng, baseline_rows), Loss.ERROR_RATE, source="bench", created_at_ns=0)
        assert baseline is not None
        detector = RiskDetector(baseline, model="m", threshold=threshold, tolerance=LabelSettings().risk_tolerance, window_seconds=settings.window_time)
        windows = (detector.test(classes(rng, _DELAY_WINDOW_ROWS, rate), "", _span(index)).alert for index in range(_MOST_LABELS // _DELAY_WINDOW_ROWS))
        labels = next((index * _DELAY_WINDOW_ROWS for index, is_alert in enumerate(windows, start=1) if is_alert), None)
        found += [] if labels is None else [labels]
    return Delay(baseline_rows, rate, len(found) / draws, float(np.median(found)) if found else None)


def run(baselines: int, windows: int, draws: int) -> Figures:
    return Figures(
        [false_alerts(traffic, rows, baselines, windows) for traffic in TRAFFIC for rows in BASELINE_ROWS],
        [delay(rows, rate, draws) for rows in BASELINE_ROWS for rate in RATES],
    )


def report(figures: Figures) -> str:
    alerts = {(each.traffic, each.baseline_rows): each for each in figures.false_alerts}
    delays = {(each.baseline_rows, each.rate): each for each in figures.delays}
    one = figures.false_alerts[0]
    sizes = [f"{rows:,} rows" for rows in BASELINE_ROWS]
    return "\n\n".join(
        (
            f"False alerts in {one.windows:,} windows of {WINDOW_ROWS} labelled rows each, at a budget of 1 per {BUDGET_WINDOWS} windows: {one.allowed:,.0f} are allowed.",
            markdown_table(
                ["losses, by rows of the baseline", *sizes], ([traffic, *(f"{alerts[traffic, rows].alerts}" for rows in BASELINE_ROWS)] for traffic in TRAFFIC)
            ),
            f"Labels until the alert when an error rate of 10% rises, median, at the default budget and 50 labels an hour; in brackets the share of draws that alerted within {_MOST_LABELS:,} labels, where not all did.",
            markdown_table(
                ["error rate, by rows of the baseline", *sizes], ([f"{rate:.0%}", *(_cell(delays[rows, rate]) for rows in BASELINE_ROWS)] for rate in RATES)
            ),
        )
    )


def _cell(figure: Delay) -> str:
    if figure.labels is None:
        return "–"
    return f"{figure.labels:,.0f}" + ("" if figure.found == 1 else f" ({figure.found:.0%})")


def _part(outcomes: Outcomes, first: int, last: int) -> Outcomes:
    return Outcomes(*(column[first:last] for column in outcomes))


def _span(index: int) -> Span:
    hour_ns = 3_600_000_000_000
    return Span((index + 1) * hour_ns, (index + 1) * hour_ns, index, index + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baselines", type=int, default=40)
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = run(arguments.baselines, arguments.windows, arguments.draws)
    print(report(figures))
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


if __name__ == "__main__":
    main()
