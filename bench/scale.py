"""From one pod to a thousand: what the published measurements add up to. `python -m bench.scale`; it measures nothing itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import markdown_table

RESULTS = Path(__file__).parent / "results"
PODS = (1, 10, 100, 1_000)
REQUESTS_PER_SECOND = 100
"""Of each pod."""
FEATURES = 30
_INSERTS_PER_SECOND = 2
"""Of each pod under traffic: one of exchanges (`store.batch_wait`), one of features."""
_DAY_SECONDS = 86_400


class Costs(NamedTuple):
    """Of one unit of work, measured."""

    proxy_us: float
    """CPU per request, both bodies captured, 1 KB."""
    monitor_us: float
    """CPU per exchange, all in."""
    window_ms: float
    """CPU per window and model, of 30 features."""
    model_bytes: float
    """Memory of a model, of 30 features."""
    baseline_ms: float
    """CPU to learn and calibrate one baseline."""
    stored_bytes: float
    """On the disk of the store, per exchange."""


def measured() -> Costs:
    """Return the costs of the runs that are kept."""
    capture = next(each for each in _run("proxy")["results"] if each["name"] == "driftline-capture" and each["load"] == [1024, 32])
    width = next(each for each in _run("width")["figures"] if (each["features"], each["models"]) == (FEATURES, 100))
    monitor = _run("monitor")
    return Costs(
        proxy_us=capture["median"]["cpu_us"],
        monitor_us=monitor["cpu_us_per_exchange"]["all in, the monitor itself"],
        window_ms=width["window_ms"],
        model_bytes=width["model_bytes"],
        baseline_ms=monitor["once_per_baseline_ms"],
        stored_bytes=sum(_run("capacity")["figures"]["disk_bytes"].values()),
    )


def report(costs: Costs, pods: Sequence[int] = PODS) -> str:
    """Return the table of units, and that of fleets."""
    units = [
        ("a request, in the proxy", f"{costs.proxy_us:.1f} µs of CPU", "[`bench.proxy`](benchmarks.md#the-data-plane-make-bench-proxy)"),
        ("an exchange, watched and stored by the monitor", f"{costs.monitor_us:.1f} µs of CPU", "[`bench.monitor`](benchmarks.md)"),
        ("an exchange, in the store", f"{costs.stored_bytes:.0f} bytes of disk", "[`bench.capacity`](capacity.md)"),
        (
            f"a window of a model of {FEATURES} features",
            f"{costs.window_ms:.1f} ms of CPU",
            "[`bench.width`](benchmarks.md#many-features-many-models-python--m-benchwidth)",
        ),
        (f"a model of {FEATURES} features", f"{costs.model_bytes / 1e6:.1f} MB of memory", "the same"),
        ("a baseline, learned and calibrated once", f"{costs.baseline_ms / 1e3:.1f} s of CPU", "[`bench.monitor`](benchmarks.md)"),
    ]
    return (
        markdown_table(["one", "takes", "measured by"], units)
        + "\n\n"
        + markdown_table(
            ["pods", "requests/s", "cores in all proxies", "cores in all monitors", "share of a core per pod", "GB/day in the store", "inserts/s"],
            [_fleet(costs, count) for count in pods],
        )
    )


def _fleet(costs: Costs, pods: int) -> tuple[str, ...]:
    requests = pods * REQUESTS_PER_SECOND
    proxies, monitors = requests * costs.proxy_us / 1e6, requests * costs.monitor_us / 1e6
    return (
        f"{pods:,}",
        f"{requests:,}",
        f"{proxies:.2f}",
        f"{monitors:.2f}",
        f"{(proxies + monitors) / pods:.1%}",
        f"{requests * _DAY_SECONDS * costs.stored_bytes / 1e9:,.0f}",
        f"{pods * _INSERTS_PER_SECOND:,}",
    )


def _run(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


if __name__ == "__main__":
    print(report(measured()))
