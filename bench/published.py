"""Puts the figures of the runs in `bench/results/` into the pages that show them: `python -m bench.published`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from bench import (
    balance,
    bounds,
    capacity,
    crash_points,
    crashes,
    drain,
    drift_peers,
    drift_real,
    floor,
    images,
    injection,
    labels,
    layouts,
    monitor,
    neighbours,
    page_time,
    payloads,
    privacy,
    proxy,
    ripening,
    risk,
    runtime,
    scale,
    scrape,
    shadows,
    soak,
    spool,
    stalls,
    start,
    tools,
    vectors,
    width,
)
from bench.report import machine_sentence
from bench.runtime_models import TITLES

_ROOT = Path(__file__).parents[1]
PAGES = [
    _ROOT / "docs" / name
    for name in ("benchmarks.md", "store.md", "capacity.md", "labels.md", "drift.md", "drift-peers.md", "inject.md", "images.md", "scale.md", "prometheus.md")
]


def page(current: str) -> str:
    """Return the page with what stands between `<!-- figures: NAME -->` and `<!-- end -->` made anew."""
    return _SECTION.sub(lambda match: f"{match['begin']}\n{_SECTIONS[match['name']]()}\n\n<!-- end -->", current)


def _proxy() -> str:
    run = _run("proxy")
    return f"{_origin(run)} {run['conditions']}\n\n{proxy.report(msgspec.convert(run['results'], list[proxy.Result]))}"


def _bounds() -> str:
    run = _run("bounds")
    return f"{_origin(run)}\n\n{bounds.report(msgspec.convert(run['figures'], bounds.Figures))}"


def _injection() -> str:
    run = _run("injection")
    return f"{_origin(run)}\n\n{injection.report(msgspec.convert(run['figures'], injection.Figures))}"


def _scrape() -> str:
    run = _run("scrape")
    return f"{_origin(run)}\n\n{scrape.report(msgspec.convert(run['costs'], list[scrape.Cost]))}"


def _page_time() -> str:
    run = _run("page_time")
    return f"{_origin(run)} {page_time.report(msgspec.convert(run['figures'], page_time.Figures))}"


def _balance() -> str:
    run = _run("balance")
    return f"{_origin(run)}\n\n{balance.report(msgspec.convert(run['figures'], list[balance.Figure]))}"


def _soak() -> str:
    run = _run("soak")
    return f"{_origin(run)}\n\n{soak.report(msgspec.convert(run['outcome'], soak.Outcome))}"


def _privacy() -> str:
    run = _run("privacy")
    return f"{_origin(run)}\n\n{privacy.report(msgspec.convert(run['figures'], list[privacy.Figure]))}"


def _crashes() -> str:
    run = _run("crashes")
    return f"{_origin(run)}\n\n{crashes.report(msgspec.convert(run['outcome'], crashes.Outcome))}"


def _stalls() -> str:
    run = _run("stalls")
    return f"{_origin(run)}\n\n{stalls.report(msgspec.convert(run['rows'], list[stalls.Row]))}"


def _spool() -> str:
    run = _run("spool")
    return f"{_origin(run)}\n\n{spool.report(msgspec.convert(run['figures'], spool.Figures))}"


def _runtime() -> str:
    runs = [_run(f"runtime_{model}") for model in TITLES]
    return "\n\n".join(
        f"{_origin(run)} {run['conditions']}\n\n{runtime.report(msgspec.convert(run['figures'], runtime.Figures, strict=False))}" for run in runs
    )


def _start() -> str:
    run = _run("start")
    return f"{_origin(run)}\n\n{start.report(msgspec.convert(run['figures'], start.Figures))}"


def _neighbours() -> str:
    run = _run("neighbours")
    return f"{_origin(run)}\n\n{neighbours.report(msgspec.convert(run['figures'], neighbours.Figures, strict=False))}"


def _floor() -> str:
    run = _run("floor")
    return f"{_origin(run)}\n\n{floor.report(msgspec.convert(run['figures'], list[floor.Figure]))}"


def _monitor() -> str:
    run = _run("monitor")
    return f"{_origin(run)} {monitor.report(msgspec.convert(run, monitor.Figures))}"


def _labels() -> str:
    run = _run("labels")
    return f"{_origin(run)} {run['exchanges']:,} exchanges in the store:\n\n{labels.report(msgspec.convert(run['costs'], list[labels.Cost]))}"


def _risk() -> str:
    run = _run("risk")
    return f"`{run['command']}`: {risk.report(msgspec.convert(run['figures'], risk.Figures))}"


def _payloads() -> str:
    run = _run("payloads")
    return f"{_origin(run)}\n\n{payloads.report(msgspec.convert(run['figures'], list[payloads.Figure]))}"


def _layouts() -> str:
    run = _run("layouts")
    return f"{_origin(run)} {layouts.report(msgspec.convert(run['figures'], list[layouts.Figure]))}"


def _capacity() -> str:
    run = _run("capacity")
    return f"{_origin(run)} {capacity.report(msgspec.convert(run['figures'], capacity.Figures))}"


def _drain() -> str:
    runs = [_run(name) for name in ("drain", "drain_10gb")]
    return "\n\n".join(f"{_origin(run)} {drain.report(msgspec.convert(run['figures'], drain.Figures))}" for run in runs)


def _crash_points() -> str:
    runs = [_run(name) for name in ("crash_points", "crash_points_server")]
    return "\n".join(f"- {msgspec.convert(run['outcomes'], crash_points.Outcomes).sentence}\n  ({_origin(run)})" for run in runs)


def _drift_peers() -> str:
    run = _run("drift_peers")
    return f"{_origin(run)}\n\n{drift_peers.report(msgspec.convert(run, drift_peers.Run))}"


def _drift_real() -> str:
    run = _run("drift_real")
    return f"{_origin(run)}\n\n{drift_real.report(msgspec.convert(run, drift_real.Figures))}"


def _ripening() -> str:
    run = _run("ripening")
    return f"{_origin(run)} {ripening.report(msgspec.convert(run, ripening.Figures))}"


def _vectors() -> str:
    run = _run("vectors")
    return f"{_origin(run)} {vectors.report(msgspec.convert(run['figures'], vectors.Figures))}"


def _vector_costs() -> str:
    run = _run("vector_costs")
    return f"{_origin(run)}\n\n{vectors.cost_report(run['figures'])}"


def _tools() -> str:
    run = _run("tools")
    return f"{_origin(run)}\n\n{tools.report(msgspec.convert(run['figures'], tools.Figures, strict=False))}"


def _gpu() -> str:
    if not _results("gpu").exists():
        return "Not measured: no machine with a CUDA device was at hand. What runs only there (the CUDA provider, its fusions, FP16 on it) has not been run."
    from bench import gpu  # noqa: PLC0415 - pages without these figures are made without it

    run = _run("gpu")
    return f"{_origin(run)} {run['device']}.\n\n{gpu.report(msgspec.convert(run['figures'], list[gpu.Figures]))}"


def _images() -> str:
    run = _run("images")
    return f"{_origin(run)}\n\n{images.report(msgspec.convert(run['figures'], list[images.Figure]))}"


def _scale() -> str:
    return scale.report(scale.measured())


def _shadows() -> str:
    run = _run("shadows")
    return f"{_origin(run)}\n\n{shadows.report(msgspec.convert(run, shadows.Figures))}"


def _width() -> str:
    run = _run("width")
    return f"{_origin(run)}\n\n{width.report(msgspec.convert(run['figures'], list[width.Figure]))}"


def _origin(run: dict[str, Any]) -> str:
    return f"`{run['command']}` on {machine_sentence(run['machine'])}."


def _run(name: str) -> Any:
    return json.loads(_results(name).read_text())


def _results(name: str) -> Path:
    return _ROOT / "bench" / "results" / f"{name}.json"


_SECTION: Final = re.compile(r"(?P<begin><!-- figures: (?P<name>\w+) -->\n).*?<!-- end -->", re.DOTALL)
_SECTIONS: Final = {
    "proxy": _proxy,
    "runtime": _runtime,
    "start": _start,
    "neighbours": _neighbours,
    "balance": _balance,
    "bounds": _bounds,
    "injection": _injection,
    "scrape": _scrape,
    "page_time": _page_time,
    "soak": _soak,
    "privacy": _privacy,
    "labels": _labels,
    "crashes": _crashes,
    "stalls": _stalls,
    "spool": _spool,
    "floor": _floor,
    "monitor": _monitor,
    "payloads": _payloads,
    "ripening": _ripening,
    "risk": _risk,
    "layouts": _layouts,
    "capacity": _capacity,
    "drain": _drain,
    "crash_points": _crash_points,
    "drift_peers": _drift_peers,
    "drift_real": _drift_real,
    "tools": _tools,
    "vectors": _vectors,
    "vector_costs": _vector_costs,
    "gpu": _gpu,
    "images": _images,
    "scale": _scale,
    "width": _width,
    "shadows": _shadows,
}

if __name__ == "__main__":
    for path in PAGES:
        path.write_text(page(path.read_text()))
