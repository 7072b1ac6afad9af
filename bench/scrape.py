"""What a scrape of the monitor costs, with many models and features. `python -m bench.scrape`."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.report import machine_sentence, markdown_table, write_json
from console.metrics import MetricsPage
from records.exchange import Role
from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, SUM_NS_SUFFIX, Metric
from records.status import Counts, ModelStatus, StatusReport, StoreStatus, TracedValue
from records.verdict import DriftState, FeatureVerdict, TestResult, Verdict
from store.model_counts import COUNTED_AT_MOST, Counted, ModelCount, samples_of_models

ASKED = (20, 50)
PROMISED_MILLISECONDS = 100.0
TESTS = ("ks", "wasserstein", "psi", "chi_squared", "out_of_range_rate", "missing_rate", "type_change_rate", "non_finite_rate")  # of a number, by default
ARMS = [(f"route-{number}", arm, role) for number in range(20) for arm, role in (("upstream", "served"), ("candidate", "shadow"))]


class Cost(msgspec.Struct, frozen=True):
    """Of one scrape."""

    models: int
    features: int
    samples: int
    kilobytes: float
    milliseconds: float
    """Of CPU; the median of the rounds."""


class Watched:
    """Implements `records.ports.Views`, as far as a scrape asks."""

    def __init__(self, models: int, features: int) -> None:
        self._models = [model(f"model-{number}", features) for number in range(models)]
        duration = Metric.HTTP_REQUEST_DURATION.metric_name
        self._counted: dict[tuple[str, ...], float] = {
            **{(Metric.HTTP_REQUESTS.metric_name, *arm, code): 1234.0 for arm in ARMS for code in ("200", "400", "503")},
            **{(duration + BUCKET_SUFFIX, *arm, bound): 77.0 for arm in ARMS for bound in BUCKET_LABELS},
            **{(duration + SUM_NS_SUFFIX, *arm): 5e11 for arm in ARMS},
            **samples_of_models(counts_of_models(models)),
        }
        counts = Counts(captured=10, stored=8, dropped={}, pending=2)
        store = StoreStatus(kind="embedded", up=True, changed_at_ns=0)
        self._report = StatusReport(version="0", started_at_ns=0, reported_at_ns=1, counts=counts, spool_bytes=1, store=store)

    def figures(self) -> tuple[StatusReport, Mapping[tuple[str, ...], float]]:
        return self._report, self._counted

    def exemplars(self) -> Mapping[tuple[str, ...], TracedValue]:
        return {}

    def models(self) -> Sequence[ModelStatus]:
        return self._models


def counts_of_models(models: int) -> Iterator[ModelCount]:
    for number in range(min(models, COUNTED_AT_MOST // 2)):
        for arm, role in (("upstream", Role.SERVED), ("candidate", Role.SHADOW)):
            of = Counted(f"route-{number % 20}", f"model-{number}", "1", arm, role)
            yield ModelCount(of, dict.fromkeys(("200", "400", "503"), 1234), {"upstream_closed": 3}, [77] * len(BUCKET_LABELS), 500_000_000_000)


def model(name: str, features: int) -> ModelStatus:
    tests = {test: TestResult(statistic=0.123456789, p_value=0.5, effect=0.0123456789) for test in TESTS}
    watched = tuple(
        FeatureVerdict(feature=f"feature-{number}", tests=tests, log_evidence=1.0, share=1 / features, effect_above_floor=False, summary="")
        for number in range(features)
    )
    verdict = Verdict(
        model=name,
        version="1",
        baseline_id="00ff00ff00ff00ff",
        compared_with="",
        index=1,
        opened_at_ns=0,
        closed_at_ns=1,
        rows=1000,
        state=DriftState.OK,
        evidence=1.0,
        threshold=4320.0,
        features=watched,
    )
    return ModelStatus(
        model=name,
        version="1",
        state=DriftState.OK,
        baseline_id="00ff00ff00ff00ff",
        baseline_rows=5000,
        baseline_rows_wanted=5000,
        rows=1000,
        windows=1,
        evidence=1.0,
        threshold=4320.0,
        last_verdict=verdict,
    )


def measure(models: int, features: int, rounds: int) -> Cost:
    page = MetricsPage(Watched(models, features))
    content, _ = page.render("")  # once before, so that nothing is made for the first time
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        page.render("")
        taken.append(1e3 * (time.process_time() - began))
    samples = sum(not line.startswith(b"#") for line in content.splitlines())
    return Cost(models, features, samples, len(content) / 1e3, statistics.median(taken))


def report(costs: Sequence[Cost]) -> str:
    rows = [(f"{cost.models} of {cost.features} features", f"{cost.samples:,}", f"{cost.kilobytes:,.0f}", f"{cost.milliseconds:.0f}") for cost in costs]
    table = markdown_table(["models", "samples", "KB", "CPU ms"], rows)
    verdicts = [
        f"- {cost.models} models of {cost.features} features: {cost.milliseconds:.0f} ms of CPU (promised: under {PROMISED_MILLISECONDS:.0f}), "
        + ("kept" if cost.milliseconds < PROMISED_MILLISECONDS else "NOT kept")
        for cost in costs
        if (cost.models, cost.features) == ASKED
    ]
    return "\n".join([table, "", *verdicts])


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU of one scrape of the monitor's metrics.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args()
    costs = [measure(models, features, arguments.rounds) for models, features in ((1, 33), ASKED, (200, 50))]
    print(f"{machine_sentence()}\n\n{report(costs)}")
    if arguments.json:
        write_json(arguments.json, {"costs": msgspec.to_builtins(costs)})


if __name__ == "__main__":
    main()
