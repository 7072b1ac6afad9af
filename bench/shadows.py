"""How soon a shadow that answers otherwise is found, how often one that does not is accused, and what a pair costs: `python -m bench.shadows`. Seeds are fixed; a few minutes.

Pairs of replies go the product's way: paired, compared, and tested in windows of 1,000 against the default tolerance. For false alerts the evidence asked for is
one alert in 50 windows, and after one the detector starts again; delays are with the settings' defaults, and the budget shared with the model's features.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import numpy as np
from scipy import signal

from bench.report import machine_sentence, markdown_table, write_json
from config.settings import DriftSettings, ShadowSettings
from detectors.arrays import Floats
from detectors.budget import evidence_threshold
from detectors.pairing import Pair, Pairing, Reply
from detectors.shadow import ShadowDetector, ShadowState
from records.exchange import Exchange, Role
from records.payload import Decoded, Tensor

BUDGET_WINDOWS: Final = 50
WINDOW_PAIRS: Final = DriftSettings().window_rows
TOLERANCE: Final = float(ShadowSettings(url=()).tolerance)
RATES: Final = (0.01, 0.015, 0.02, 0.05)
PAIRS_AT_MOST: Final = 30_000
COST_PAIRS: Final = 10_000
_WINDOW_NS: Final = 10**9

Draw: TypeAlias = Callable[[np.random.Generator, int, float], Floats]


class FalseAlerts(msgspec.Struct, frozen=True):
    """Of one kind of traffic that differs at one rate, the tolerance or less."""

    traffic: str
    rate: float
    windows: int
    alerts: int
    allowed: float


class Delay(msgspec.Struct, frozen=True):
    """Of a shadow that differs at a rate above the tolerance."""

    rate: float
    runs: int
    found: int
    pairs: list[int]
    """Until the alert: the median, nine in ten, the most; of those found."""


class Cost(msgspec.Struct, frozen=True):
    """CPU of a pair, microseconds: the least and the median of some rounds."""

    replies: str
    least: float
    median: float


class Figures(msgspec.Struct, frozen=True):
    """All of it."""

    false_alerts: list[FalseAlerts]
    delays: list[Delay]
    costs: list[Cost]


def independent(rng: np.random.Generator, pairs: int, rate: float) -> Floats:
    return (rng.random(pairs) < rate) * 1.0


def bursts(rng: np.random.Generator, pairs: int, rate: float) -> Floats:
    """One odd user asks twenty times in a row, on average."""
    count = pairs // 5
    odd = np.repeat(rng.random(count) < rate, rng.geometric(1 / 20, count))[:pairs]
    return odd * 1.0


def wandering(rng: np.random.Generator, pairs: int, rate: float) -> Floats:
    """The rate goes up and down over some three hundred pairs, by half of itself."""
    memory = math.exp(-1 / 300)
    slow = signal.lfilter([math.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=pairs + 3_000))[3_000:]
    return (rng.random(pairs) < np.clip(rate * (1 + 0.5 * slow), 0, 1)) * 1.0


TRAFFIC: Final[dict[str, Draw]] = {
    "independent": independent,
    "users who ask twenty times in a row": bursts,
    "a rate that wanders over some 300 pairs": wandering,
}
_AGREED, _DIFFERED = (Reply("", Decoded("v2", [Tensor("label", "INT64", (1,), [value])]), 0.01, True, False) for value in (0, 1))


def fed(detector: ShadowDetector, losses: Floats, index: int) -> bool:
    """Return whether a window alerts."""
    for number, differs in enumerate(losses.tolist()):
        detector.add(Pair(number.to_bytes(16, "big"), _AGREED, _DIFFERED if differs else _AGREED), index * _WINDOW_NS + 1)
    return detector.close((index + 1) * _WINDOW_NS, "")[1].alert


def false_alerts(traffic: str, rate: float, windows: int) -> FalseAlerts:
    detector = ShadowDetector("m", "s", threshold=BUDGET_WINDOWS, tolerance=TOLERANCE)
    losses = TRAFFIC[traffic](np.random.default_rng(1), windows * WINDOW_PAIRS, rate)
    alerts = 0
    for index in range(windows):
        if fed(detector, losses[index * WINDOW_PAIRS : (index + 1) * WINDOW_PAIRS], index):
            alerts += 1
            detector.restore(ShadowState(model="m", shadow="s", tolerance=TOLERANCE))
    return FalseAlerts(traffic, rate, windows, alerts, windows / BUDGET_WINDOWS)


def delay(rate: float, runs: int) -> Delay:
    settings = DriftSettings()
    threshold = evidence_threshold(settings.budget, window_seconds=settings.window_time, models=2)
    found = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        detector = ShadowDetector("m", "s", threshold=threshold, tolerance=TOLERANCE)
        alerts = (fed(detector, independent(rng, WINDOW_PAIRS, rate), index) for index in range(PAIRS_AT_MOST // WINDOW_PAIRS))
        windows = next((index for index, is_alert in enumerate(alerts, start=1) if is_alert), None)
        found += [windows * WINDOW_PAIRS] if windows else []
    return Delay(rate, runs, len(found), [int(np.quantile(found, share, method="inverted_cdf")) for share in (0.5, 0.9, 1.0)] if found else [])


def one_label(score: float) -> list[Tensor]:
    return [Tensor("label", "INT64", (1,), [int(score > 0.5)])]


def label_and_probabilities(score: float) -> list[Tensor]:
    return [*one_label(score), Tensor("probabilities", "FP32", (1, 2), [score, 1 - score])]


def one_number(score: float) -> list[Tensor]:
    return [Tensor("score", "FP32", (1, 1), [score])]


def ten_probabilities(score: float) -> list[Tensor]:
    return [Tensor("probabilities", "FP32", (1, 10), [score, *[(1 - score) / 9] * 9])]


def cost(outputs: Callable[[float], list[Tensor]], rounds: int) -> Cost:
    """Of pairing, comparing and testing decoded replies; one in a hundred differs."""
    rng = np.random.default_rng(1)
    traffic = []
    for number, (ours, theirs, differs) in enumerate(
        zip(rng.random(COST_PAIRS).tolist(), rng.random(COST_PAIRS).tolist(), rng.random(COST_PAIRS) < 0.01, strict=True)
    ):
        replies = [(role, Decoded("v2", outputs(score))) for role, score in ((Role.SERVED, ours), (Role.SHADOW, theirs if differs else ours))]
        traffic += [
            (Exchange(number.to_bytes(16, "big"), "", role, "r", role.value, 0, "POST", "/", total_ns=10**7, status=200), said) for role, said in replies
        ]
    seconds = []
    for _ in range(rounds):
        pairing, detector = Pairing(), ShadowDetector("m", "s", threshold=4_320.0, tolerance=TOLERANCE)
        began = time.process_time()
        for exchange, said in traffic:
            for pair in pairing.add(exchange, said, "m", "1"):
                detector.add(pair, 1)
            if detector.compared >= WINDOW_PAIRS:
                detector.close(2, "1")
        seconds.append((time.process_time() - began) / COST_PAIRS * 1e6)
    return Cost(outputs.__name__.replace("_", " "), min(seconds), float(np.median(seconds)))


def run(windows: int, runs: int, rounds: int) -> Figures:
    rates = (TOLERANCE / 2, TOLERANCE)
    return Figures(
        [false_alerts(traffic, rate, windows) for traffic in TRAFFIC for rate in rates],
        [delay(rate, runs) for rate in RATES],
        [cost(outputs, rounds) for outputs in (one_label, label_and_probabilities, one_number, ten_probabilities)],
    )


def report(figures: Figures) -> str:
    alerts = [[each.traffic, f"{each.rate:.2%}", f"{each.windows:,}", f"{each.allowed:g}", f"{each.alerts}"] for each in figures.false_alerts]
    delays = [[f"{each.rate:.1%}", f"{each.found} of {each.runs}", *(f"{pairs:,}" for pairs in each.pairs)] for each in figures.delays]
    costs = [[each.replies, f"{each.least:.1f}", f"{each.median:.1f}"] for each in figures.costs]
    return "\n\n".join(
        [
            markdown_table(["answers differ", "at", "windows", "alerts allowed", "alerts"], alerts),
            markdown_table(["differ", "found", "pairs until then, median", "nine in ten", "most"], delays),
            markdown_table(["replies", "µs of CPU per pair, least", "median"], costs),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=1_000, help="of each kind of traffic (%(default)s)")
    parser.add_argument("--runs", type=int, default=50, help="of each rate (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="of each cost (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    figures = run(options.windows, options.runs, options.rounds)
    if options.json:
        write_json(options.json, msgspec.to_builtins(figures))
    print(machine_sentence(), report(figures), sep="\n\n")


if __name__ == "__main__":
    main()
