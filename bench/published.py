"""Puts the figures of the runs in `bench/results/` into docs/benchmarks.md: `python -m bench.published`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bench import bounds, monitor, payloads, privacy, proxy, soak
from bench.report import machine_sentence

_ROOT = Path(__file__).parents[1]
PAGE = _ROOT / "docs" / "benchmarks.md"


def page(current: str) -> str:
    """Return the page with what stands between `<!-- figures: NAME -->` and `<!-- end -->` made anew."""
    for name, section in (
        ("proxy", _proxy()),
        ("bounds", _bounds()),
        ("soak", _soak()),
        ("privacy", _privacy()),
        ("monitor", _monitor()),
        ("payloads", _payloads()),
    ):
        current = _replaced(current, name, section)
    return current


def _replaced(text: str, name: str, section: str) -> str:
    begin = f"<!-- figures: {name} -->\n"
    before, _, rest = text.partition(begin)
    _, end, after = rest.partition("<!-- end -->")
    return f"{before}{begin}\n{section}\n\n{end}{after}"


def _proxy() -> str:
    run = _run("proxy")
    return f"{_origin(run)} {run['conditions']}\n\n{proxy.report(msgspec.convert(run['results'], list[proxy.Result]))}"


def _bounds() -> str:
    run = _run("bounds")
    return f"{_origin(run)}\n\n{bounds.report(msgspec.convert(run['figures'], bounds.Figures))}"


def _soak() -> str:
    run = _run("soak")
    return f"{_origin(run)}\n\n{soak.report(msgspec.convert(run['outcome'], soak.Outcome))}"


def _privacy() -> str:
    run = _run("privacy")
    return f"{_origin(run)}\n\n{privacy.report(msgspec.convert(run['figures'], list[privacy.Figure]))}"


def _monitor() -> str:
    run = _run("monitor")
    return f"{_origin(run)} {monitor.report(msgspec.convert(run, monitor.Figures))}"


def _payloads() -> str:
    run = _run("payloads")
    return f"{_origin(run)}\n\n{payloads.report(msgspec.convert(run['figures'], list[payloads.Figure]))}"


def _origin(run: dict[str, Any]) -> str:
    return f"`{run['command']}` on {machine_sentence(run['machine'])}."


def _run(name: str) -> Any:
    return json.loads((_ROOT / "bench" / "results" / f"{name}.json").read_text())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
