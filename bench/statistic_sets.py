"""Which statistics should give evidence: `python -m bench.statistic_sets [--quick] [--json FILE] [--markdown FILE]`.

Evidence is an average over tests, so each further one asks the others for more. Every statistic looks at the same windows, once; what any set of them would have
said follows from their p-values. The figure of a set is its mean delay over all changes, geometric, so that a change found late counts as much as one found soon.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bench.drift import BY_ROWS, learn
from bench.drift_traffic import WINDOW_ROWS, Traffic, heavy_tails, independent
from bench.report import machine_sentence, markdown_table, write_json
from config.choices import CategoricalStatistic, NumericStatistic
from config.settings import DriftSettings
from detectors.drift import DriftDetector
from detectors.evidence import NO_EVIDENCE, accumulate, log_mean
from detectors.univariate import Statistics

Rows: TypeAlias = dict[str, np.ndarray]
Change: TypeAlias = Callable[[Rows], Rows]
BASELINE_ROWS = 5_000
THRESHOLD = 1_000.0  # windows between false alerts
LIMIT = 60  # windows after which a change counts as not found
EVERYTHING = Statistics(tuple(NumericStatistic), tuple(CategoricalStatistic))


def _of(name: str, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    """Change one column; what chance decides is the same in every run."""
    return lambda rows: rows | {name: change(rows[name].copy(), np.random.default_rng(len(rows)))}


def _some(share: float, value: float | str) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def change(column: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        column[rng.random(len(column)) < share] = value
        return column

    return change


def _scaled_some(share: float, factor: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda column, rng: np.where(rng.random(len(column)) < share, column * factor, column)


NUMERIC: dict[str, Change] = {
    "mean +0.1 sd": _of("number 0", lambda column, _: column + 0.1),
    "mean +0.15 sd": _of("number 0", lambda column, _: column + 0.15),
    "mean +0.25 sd": _of("number 0", lambda column, _: column + 0.25),
    "mean +0.5 sd": _of("number 0", lambda column, _: column + 0.5),
    "mean +0.15 sd, 3 features": lambda rows: rows | {f"number {index}": rows[f"number {index}"] + 0.15 for index in range(3)},
    "variance ×1.25": _of("number 0", lambda column, _: column * math.sqrt(1.25)),
    "variance ×1.5": _of("number 0", lambda column, _: column * math.sqrt(1.5)),
    "variance ÷1.5": _of("number 0", lambda column, _: column / math.sqrt(1.5)),
    "tails: 5% of rows ×4": _of("number 0", _scaled_some(0.05, 4.0)),
    "a group of 5% at +2 sd": _of("number 0", _some(0.05, 2.0)),
    "5% of rows a default in the middle": _of("number 0", _some(0.05, 0.1)),
    "heavy tails: all +0.2": _of("number 1", lambda column, _: column + 0.2),
    "heavy tails: all ×1.2": _of("number 1", lambda column, _: column * 1.2),
    "a gap: none between 0 and 0.2 sd": _of("number 0", lambda column, _: np.where((column > 0) & (column < 0.2), column + 0.2, column)),
}
CATEGORICAL: dict[str, Change] = {
    "10% of rows to the most frequent level": _of("category 0", _some(0.1, "level 0")),
    "5% of rows to the most frequent level": _of("category 0", _some(0.05, "level 0")),
    "5% of rows to a middling level": _of("category 0", _some(0.05, "level 3")),
    "2% of rows to a rare level": _of("category 0", _some(0.02, "level 5")),
    "a rare level halved": _of("category 0", lambda column, rng: np.where((column == "level 5") & (rng.random(len(column)) < 0.5), "level 0", column)),
    "a level gone": _of("category 0", lambda column, _: np.where(column == "level 4", "level 1", column)),
}


def _shape(normal: np.ndarray) -> np.ndarray:
    """Give one number heavy tails."""
    normal[1] = heavy_tails(normal[1])
    return normal


def traffic_of(seed: int) -> Traffic:
    return Traffic(seed, independent, _shape)


def sets_of(names: Iterable[str]) -> list[tuple[str, ...]]:
    each = list(names)
    return list(chain.from_iterable(combinations(each, size) for size in range(1, len(each) + 1)))


@dataclass(frozen=True)
class Run:
    """What every statistic says of every window of one run: p-values by window, feature and test."""

    windows: list[dict[str, dict[str, float]]]


def watched(detector: DriftDetector, change: Change, seed: int) -> Run:
    """Return the p-values after a change, of as many windows as are looked at."""
    traffic = traffic_of(seed)
    verdicts = [detector.update(change(traffic.rows(WINDOW_ROWS)), np.zeros(WINDOW_ROWS, dtype=np.int64))[0][1] for _ in range(LIMIT)]
    return Run([{each.feature: {name: test.p_value for name, test in each.tests.items()} for each in verdict.features} for verdict in verdicts])


def paths(run: Run) -> dict[tuple[str, str], list[float]]:
    """Return ln M after each window, by feature and test."""
    found: dict[tuple[str, str], list[float]] = {}
    for window in run.windows:
        for feature, tests in window.items():
            for name, p_value in tests.items():
                path = found.setdefault((feature, name), [])
                path.append(accumulate(path[-1] if path else NO_EVIDENCE, p_value))
    return found


def delay(evidence: dict[tuple[str, str], list[float]], numeric: Sequence[str], categorical: Sequence[str]) -> int:
    """Return the first window in which the evidence of these statistics passes the threshold; one more than are looked at where it never does."""
    chosen = {"number": {*numeric, "missing_rate"}, "category": {*categorical, "missing_rate", "unseen_rate", "other_rate"}, "(correlations)": {"correlation"}}
    features: dict[str, list[list[float]]] = {}
    for (feature, test), path in evidence.items():
        if test in chosen[feature.partition(" ")[0]]:
            features.setdefault(feature, []).append(path)
    for window in range(LIMIT):
        if log_mean([log_mean([path[window] for path in tests]) for tests in features.values()]) >= math.log(THRESHOLD):
            return window + 1
    return LIMIT + 1


def geometric_mean(delays: Iterable[float]) -> float:
    return float(np.exp(np.mean(np.log(list(delays)))))


Delays: TypeAlias = dict[tuple[str, ...], dict[str, float]]
"""By set, then by change: the mean over runs."""


def measure(detectors: Sequence[DriftDetector], runs: int) -> tuple[Delays, Delays]:
    """Return the delays of every set of numeric and of categorical statistics; the other kind's are the default meanwhile."""
    default = DriftSettings()
    numeric: Delays = {each: {} for each in sets_of(NumericStatistic)}
    categorical: Delays = {each: {} for each in sets_of(CategoricalStatistic)}
    for changes, found, is_numeric in ((NUMERIC, numeric, True), (CATEGORICAL, categorical, False)):
        for name, change in changes.items():
            seen = [_evidence(detector, change, 5_000 + 100 * seed + run) for seed, detector in enumerate(detectors) for run in range(runs)]
            for each, delays in found.items():
                of_kinds = (each, default.categorical_statistics) if is_numeric else (default.numeric_statistics, each)
                delays[name] = geometric_mean(delay(evidence, *of_kinds) for evidence in seen)
    return numeric, categorical


def _evidence(detector: DriftDetector, change: Change, seed: int) -> dict[tuple[str, str], list[float]]:
    fresh = detector.snapshot()
    evidence = paths(watched(detector, change, seed))
    detector.restore(fresh)
    return evidence


def report(numeric: Delays, categorical: Delays, runs: int, seconds: float) -> str:
    default = DriftSettings()
    about = (
        f"Made by `python -m bench.statistic_sets` in {seconds:.0f} s of CPU on {machine_sentence()}. Windows until the evidence passes a budget of one alert in"
        f" {THRESHOLD:,.0f} windows: geometric means over {runs} runs; baselines of {BASELINE_ROWS:,} rows, windows of {WINDOW_ROWS:,}, 33 features."
    )
    about_sets = (
        "Evidence is an average over tests, so each further one asks the others for more. Every statistic looked at the same windows; what any set of them would have said"
        " follows from their p-values. The columns are the best of all sets, the default, each statistic alone, the worst set, and all of them. A change that was not found"
        f" counts as {LIMIT + 1} windows."
    )
    return "\n\n".join(
        [
            "# Which statistics give evidence, as measured",
            about,
            about_sets,
            "## Numbers",
            _table(numeric, default.numeric_statistics),
            "## Categories",
            _table(categorical, default.categorical_statistics),
        ]
    )


def _table(found: Delays, default: tuple[str, ...]) -> str:
    ranked = sorted(found, key=lambda each: geometric_mean(found[each].values()))
    chosen = next(each for each in found if set(each) == set(default))
    shown = list(dict.fromkeys([ranked[0], chosen, *(each for each in ranked if len(each) == 1), ranked[-1], max(found, key=len)]))
    changes = list(next(iter(found.values())))
    heads = ["change", *(", ".join(each) if len(each) < len(max(found, key=len)) else "all" for each in shown)]
    rows = [[change, *(f"{found[each][change]:.1f}" for each in shown)] for change in changes]
    return markdown_table(heads, [*rows, ["all changes", *(f"{geometric_mean(found[each].values()):.2f}" for each in shown)]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer baselines and runs")
    parser.add_argument("--json", type=Path, default=Path("bench/results/statistic_sets.json"), help="where to write the figures (default: %(default)s)")
    parser.add_argument("--markdown", type=Path, help="where to write the tables as well")
    arguments = parser.parse_args()
    baselines, runs = (1, 1) if arguments.quick else (4, 2)
    begin = time.process_time()
    learned = [learn(traffic_of(seed), BASELINE_ROWS) for seed in range(baselines)]
    detectors = [DriftDetector(baseline, threshold=THRESHOLD, windows=BY_ROWS, statistics=EVERYTHING) for baseline in learned]
    numeric, categorical = measure(detectors, runs)
    as_json = {kind: {", ".join(each): delays for each, delays in found.items()} for kind, found in (("numeric", numeric), ("categorical", categorical))}
    write_json(arguments.json, as_json)
    text = report(numeric, categorical, baselines * runs, time.process_time() - begin)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n")


if __name__ == "__main__":
    main()
