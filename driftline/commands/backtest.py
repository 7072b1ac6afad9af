"""`driftline backtest`: the same detectors over a table in its order, to see what a budget would have done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from config.options import add_option, settings_of
from config.settings import DriftSettings
from config.units import Budget, QuantityError
from console.report import report
from detectors.baseline import BaselineError, load_baseline
from detectors.budget import evidence_threshold
from detectors.derived import made_of, sources_of
from detectors.drift import DriftDetector
from detectors.explanation import Shown, explain
from detectors.tables import Table, TableError, read_table
from detectors.univariate import Statistics
from detectors.windows import WindowPolicy
from driftline.commands import backtest_null
from driftline.verdict_text import as_json, as_text, names_of
from records.baseline import Baseline, NumericBaseline
from records.verdict import Verdict
from records.window import WindowSummary

_DEFAULTS: Final = DriftSettings()
_FEWEST_WINDOW_ROWS: Final = 10


class Backtest(NamedTuple):
    """What the detectors said."""

    windows: list[tuple[WindowSummary, Verdict]]
    rows_left_over: int
    """After the last window, too few for one."""

    @property
    def verdicts(self) -> list[Verdict]:
        """Those on the windows, in their order."""
        return [verdict for _, verdict in self.windows]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    against = parser.add_mutually_exclusive_group(required=True)
    against.add_argument("--baseline", type=Path, metavar="FILE", help="A baseline made by `driftline baseline`.")
    against.add_argument(
        "--null",
        action="store_true",
        help="Put the table in orders in which nothing drifts, and count the alerts: 0 if they are within the budget, 1 if not.",
    )
    parser.add_argument(
        "--baseline-rows",
        type=_window_rows,
        default=_DEFAULTS.baseline_rows,
        metavar="N",
        help="With --null: rows of each order that are its baseline. (default: %(default)s)",
    )
    parser.add_argument("--table", required=True, type=Path, metavar="FILE", help="Rows in the order of the traffic, *.csv or *.parquet.")
    parser.add_argument("--window-rows", required=True, type=_window_rows, metavar="N", help=f"Rows in a window, at least {_FEWEST_WINDOW_ROWS}.")
    parser.add_argument(
        "--time-column", metavar="NAME", help="When each row was: timestamps or Unix seconds. (default: windows are taken to last 10 minutes each)"
    )
    parser.add_argument(
        "--budget",
        type=_budget,
        metavar="BUDGET",
        help=f'How often a false alert is acceptable, for example "1 per 30 days" or "1 per 1000 windows". (default: {_DEFAULTS.budget}; with --null {backtest_null.BUDGET})',
    )
    add_option(parser, "--numeric-statistics", "drift.numeric_statistics")
    add_option(parser, "--categorical-statistics", "drift.categorical_statistics")
    parser.add_argument("--report", type=Path, metavar="DIR", help="Write a page for each alert that explains it, with pictures, into this directory.")
    parser.add_argument("--json", action="store_true", help="Print the verdicts as JSON.")


def run(arguments: argparse.Namespace) -> int:
    """Run the detectors: 0 whether or not they alert, 2 if what was given cannot be tested."""
    try:
        if arguments.null:
            return backtest_null.run(arguments)
        arguments.budget = arguments.budget or _DEFAULTS.budget
        baseline = load_baseline(arguments.baseline)
        table = _read(arguments, baseline)
        backtest = _run(_detector(arguments, baseline, table), table, arguments.window_rows)
        written = _write_reports(arguments.report, baseline, backtest) if arguments.report else ()
    except (BaselineError, TableError, OSError) as error:
        sys.stderr.write(f"driftline backtest: {error}\n")
        return 2
    sys.stderr.writelines(f"driftline backtest: {note}\n" for note in _notes(arguments, baseline, table, backtest))
    sys.stderr.writelines(f"driftline backtest: wrote {path}\n" for path in written)
    sys.stdout.write(as_json(backtest.verdicts) if arguments.json else "".join(f"{line}\n" for line in as_text(backtest.verdicts, arguments.budget)))
    return 0


def _read(arguments: argparse.Namespace, baseline: Baseline) -> Table:
    made = made_of(baseline)
    numbers = [feature.name for feature in baseline.features if isinstance(feature, NumericBaseline) and feature.name not in made]
    levels = [feature.name for feature in baseline.features if not isinstance(feature, NumericBaseline) and feature.name not in made]
    table = read_table(arguments.table, numbers=numbers, levels=levels, time_column=arguments.time_column)
    wanted = [*numbers, *levels, *sources_of(baseline)]
    if not table.rows:
        raise TableError(f"{arguments.table} has no rows")
    if not any(name in table.columns for name in wanted):
        raise TableError(
            f"{arguments.table} has none of the features of the baseline {arguments.baseline} ({names_of(wanted)}); its columns are {names_of(list(table.columns))}"
        )
    return table


def _notes(arguments: argparse.Namespace, baseline: Baseline, table: Table, backtest: Backtest) -> Iterator[str]:
    """Say what a user might otherwise take for granted."""
    made = made_of(baseline)
    absent = [name for name in [*(feature.name for feature in baseline.features), *sources_of(baseline)] if name not in table.columns and name not in made]
    if absent:
        yield f"{arguments.table} lacks {len(absent)} of the baseline's {len(baseline.features)} features, which count as missing: {names_of(absent)}"
    if table.times_ns is None and not arguments.budget.windows:
        yield f"without --time-column each window is taken to last {_DEFAULTS.window_time}"
    if backtest.rows_left_over:
        yield f"{backtest.rows_left_over} rows after the last window are too few for one and were not tested"


def _detector(arguments: argparse.Namespace, baseline: Baseline, table: Table) -> DriftDetector:
    """Return the detector that a monitor would have; without times every window counts as one of the usual duration."""
    needs = "a cycle" if baseline.cycle_seconds else "the age of timestamps" if any(time.has_age for time in baseline.times) else ""
    if table.times_ns is None and needs:
        raise TableError(f"the baseline {arguments.baseline} has {needs}, so every row needs its time: name the column of {arguments.table} with --time-column")
    if table.times_ns is not None and table.times_ns.max() <= table.times_ns.min():
        raise TableError(f"{arguments.table}: all rows have the same time in {arguments.time_column!r}")
    window_seconds = _DEFAULTS.window_time
    return DriftDetector(
        baseline,
        threshold=evidence_threshold(arguments.budget, window_seconds=window_seconds),
        windows=WindowPolicy(max_rows=arguments.window_rows, max_seconds=None),
        window_seconds=None if table.times_ns is None or arguments.budget.windows else window_seconds,
        statistics=Statistics.of(settings_of(arguments, routes_needed=False).drift),
    )


def _run(detector: DriftDetector, table: Table, window_rows: int) -> Backtest:
    times_ns = np.zeros(table.rows, dtype=np.int64) if table.times_ns is None else table.times_ns
    windows = detector.update(table.columns, times_ns)
    if detector.open_rows >= min(window_rows, _DEFAULTS.window_min_rows):
        windows.append(detector.close())
    return Backtest(windows, detector.open_rows)


def _write_reports(directory: Path, baseline: Baseline, backtest: Backtest) -> list[Path]:
    """Write a page for each alert. Raises OSError with a sentence for the user."""
    written: list[Path] = []
    shown = [Shown.of(verdict) for verdict in backtest.verdicts]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for position, (summary, verdict) in enumerate(backtest.windows):
            if verdict.alert:
                before = shown[:position][::-1]
                written.append(directory / f"window-{verdict.index}.html")
                written[-1].write_text(report(explain(baseline, summary, verdict, before)), encoding="utf-8")
    except OSError as error:
        raise OSError(f"cannot write reports to {directory}: {error.strerror}; name a directory that can be written with --report") from None
    return written


def _window_rows(text: str) -> int:
    if not text.isdecimal() or int(text) < _FEWEST_WINDOW_ROWS:
        raise argparse.ArgumentTypeError(f"expected a number of rows, at least {_FEWEST_WINDOW_ROWS}, found {text!r}")
    return int(text)


def _budget(text: str) -> Budget:
    try:
        return Budget.parse(text)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
