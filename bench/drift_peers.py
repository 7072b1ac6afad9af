"""Drift detection beside that of other libraries, on the same windows: `python -m bench.drift_peers [--install] [--quick] [--only NAME …]`.

Each library runs in a virtual environment of its own (`--venvs`), which `--install` makes from `bench/peers/requirements-*.txt`: their requirements contradict each other, and none of them is one of
ours. One that is not installed is left out, and the page says so. What is measured, and what equal false alarms are: `bench/peers/measure.py`. Half an hour of CPU in all; the file has what is
measured as soon as it is, and `--only` goes on with one library. Seeds are fixed: one after the other or all at once, the figures are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench.peers.measure import BUDGET, DELAY_LIMIT, RETUNED
from bench.report import markdown_table, write_json

_ROOT = Path(__file__).parents[1]
_HERE = ("driftline", "scipy")
IN_VENVS = ("alibi", "evidently", "nannyml", "river")
ALL = (*_HERE, *IN_VENVS)
_WITHIN_BUDGET = ("alert", "evidence")  # Driftline's rules: their false alarms are within the budget as they are
_OURS = "Driftline"
_SOON = 3  # windows within which a shift should be found


class Figures(msgspec.Struct):
    """What `bench.peers.measure` wrote of one detector."""

    peer: str
    version: str
    null_windows: int
    retuned_rate: float
    cpu_ms_per_window: float
    alarms: dict[str, dict[str, float]]
    delays: dict[str, dict[str, list[int]]]


class Run(msgspec.Struct):
    """All of them."""

    figures: dict[str, list[Figures]]
    left_out: dict[str, str]


def run(name: str, venvs: Path, *, install: bool, quick: bool) -> Run:
    """Measure the detectors of this adapter."""
    python = Path(sys.executable) if name in _HERE else venvs / name / "bin" / "python"
    if install and name in IN_VENVS:
        _install(name, venvs / name)
    try:
        return Run({name: _measured(name, python, quick=quick)}, {})
    except (OSError, subprocess.CalledProcessError) as error:
        return Run({}, {name: _why(error)})


def _install(name: str, venv: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run(
        [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(_ROOT / "bench" / "peers" / f"requirements-{name}.txt")],
        check=False,
    )


def _measured(name: str, python: Path, *, quick: bool) -> list[Figures]:
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "figures.json"
        command = [str(python), "-W", "ignore", "-m", "bench.peers.measure", f"of_{name}", "--out", str(out), *(["--quick"] if quick else [])]
        subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(_ROOT)})
        return msgspec.json.decode(out.read_bytes(), type=list[Figures])


def _why(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, OSError):
        return "not installed"
    return (error.stderr.strip().splitlines() or ["it failed"])[-1]


def report(found: Run) -> str:
    """Return the tables."""
    figures = [each for of_adapter in found.figures.values() for each in of_adapter]
    if not figures:
        return "\n\n".join(_left_out(found))
    rules = [(each, rule) for each in figures for rule in next(iter(each.alarms.values())) if rule != RETUNED]
    parts = [
        markdown_table(_heads("share of windows in alarm, nothing has changed", rules), _alarm_rows(rules)),
        "The same, each retuned to one window in 100 of independent rows:",
        markdown_table(
            ["share of windows in alarm, nothing has changed", *(each.peer for each in figures)],
            [_rates(figures), *_alarm_rows([(each, RETUNED) for each in figures])],
        ),
    ]
    return "\n\n".join([*parts, *_delay_parts(figures, rules), *_verdict(figures), *_left_out(found)])


def _rates(figures: Sequence[Figures]) -> list[str]:
    """Return what was reached where the thresholds were set: a library whose scores have steps cannot come near."""
    return ["where the thresholds were set", *(f"{each.retuned_rate:.3f}" for each in figures)]


def _alarm_rows(columns: Sequence[tuple[Figures, str]]) -> list[list[str]]:
    return [[kind, *(f"{each.alarms[kind][rule]:.2f}" for each, rule in columns)] for kind in columns[0][0].alarms]


def _delay_parts(figures: Sequence[Figures], rules: Sequence[tuple[Figures, str]]) -> list[str]:
    ours = [(each, rule) for each, rule in rules if rule in _WITHIN_BUDGET]
    others = [(each, rule) for each, rule in rules if rule not in _WITHIN_BUDGET]
    at_equal = [*ours, *((each, RETUNED) for each in figures)]
    about = (
        f"Median delay in windows (1 is the first that has the change in it), at most one false alarm in {BUDGET} windows for each; in brackets the share of runs that were found within {_SOON}"
        f" windows. A dash: more than half of the runs were not found within {DELAY_LIMIT}."
    )
    parts = [about, markdown_table(_heads("change", at_equal), _delay_rows(at_equal))]
    if others:
        parts += [
            "The same for the others as they are shipped, at whatever false alarms the first table shows:",
            markdown_table(_heads("change", others), _delay_rows(others)),
        ]
    return parts


def _verdict(figures: Sequence[Figures]) -> list[str]:
    """Return in how many changes each of ours is found as soon as by the best of the others, by medians of delays, and in which it is not."""
    ours = [each for each in figures if each.peer.startswith(_OURS)]
    others = [each for each in figures if each not in ours]
    return ["\n".join(_standing(each, rule, others) for each in ours for rule in (RETUNED, *_WITHIN_BUDGET))] if ours and others else []


def _standing(ours: Figures, rule: str, others: Sequence[Figures]) -> str:
    behind = [change for change, delays in ours.delays.items() if min(_median(other.delays[change][RETUNED]) for other in others) < _median(delays[rule])]
    summary = f"- *{ours.peer}: {rule}* is ahead of each of the others, retuned, or equal in {len(ours.delays) - len(behind)} of {len(ours.delays)} changes"
    return f"{summary}; behind in {'; '.join(behind)}." if behind else f"{summary}."


def _heads(first: str, columns: Sequence[tuple[Figures, str]]) -> list[str]:
    return [first, *(f"{each.peer}: {rule}" for each, rule in columns)]


def _delay_rows(columns: Sequence[tuple[Figures, str]]) -> list[list[str]]:
    return [[change, *(_cell(each.delays[change][rule]) for each, rule in columns)] for change in columns[0][0].delays]


def _cell(delays: Sequence[int]) -> str:
    middle = _median(delays)
    soon = sum(delay <= _SOON for delay in delays) / len(delays)
    return f"{middle:g} ({soon:.0%})" if middle <= DELAY_LIMIT else f"– ({soon:.0%})"


def _median(delays: Sequence[int]) -> float:
    """Return the median; of runs of which more than half were not found, one past the limit."""
    return min(float(median(delays)), DELAY_LIMIT + 1)


def _left_out(found: Run) -> list[str]:
    return ["Left out: " + ", ".join(f"{name} ({why})" for name, why in found.left_out.items()) + "."] if found.left_out else []


def _known(path: Path) -> Run:
    return msgspec.convert(json.loads(path.read_text()), Run) if path.exists() else Run({}, {})


def _together(known: Run, found: Run) -> Run:
    """Return what is known with what was found now, in the order of the page."""
    figures = {name: of for name, of in known.figures.items() if name not in found.left_out} | found.figures
    left_out = {name: why for name, why in known.left_out.items() if name not in found.figures} | found.left_out
    return Run({name: figures[name] for name in ALL if name in figures}, {name: left_out[name] for name in ALL if name in left_out})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="make the virtual environments first")
    parser.add_argument(
        "--venvs", type=Path, default=Path("/tmp/peers"), help="where the virtual environments are, one for each library (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="few windows: to see that it runs")
    parser.add_argument("--only", nargs="+", choices=ALL, help="measure these alone, and keep what the file has of the others")
    parser.add_argument("--json", type=Path, default=Path("bench/results/drift_peers.json"), help="where to write the figures (default: %(default)s)")
    arguments = parser.parse_args()
    if not arguments.only:
        arguments.json.unlink(missing_ok=True)
    for name in arguments.only or ALL:
        found = run(name, arguments.venvs, install=arguments.install, quick=arguments.quick)
        write_json(arguments.json, msgspec.to_builtins(_together(_known(arguments.json), found)))
    print(report(_known(arguments.json)))


if __name__ == "__main__":
    main()
