"""`driftline backtest --null`: how often the detectors would alert on a table that does not drift."""

from __future__ import annotations

import argparse
import sys
from typing import Final

import msgspec

from config.options import settings_of
from config.settings import DriftSettings
from config.units import Budget
from detectors.budget import evidence_threshold
from detectors.null_run import NullRun, null_run
from detectors.tables import TableError, read_table
from detectors.univariate import Statistics

BUDGET: Final = Budget.parse("1 per 100 windows")
"""Soon tested: a budget of a thousand windows takes ten times as long."""


def run(arguments: argparse.Namespace) -> int:
    """Test the table in shuffled order: 0 if the alerts are within the budget, 1 if not, 2 if what was given cannot be tested. Raises `TableError`."""
    if arguments.report:
        raise TableError("--report explains alerts, and --null only counts them: leave one of the two out")
    table = read_table(arguments.table)
    if not table.columns:
        raise TableError(f"{arguments.table} has no column of numbers or text")
    budget = arguments.budget or BUDGET
    found = null_run(
        table.columns,
        table.rows,
        window_rows=arguments.window_rows,
        baseline_rows=arguments.baseline_rows,
        threshold=evidence_threshold(budget, window_seconds=DriftSettings().window_time),
        statistics=Statistics.of(settings_of(arguments, routes_needed=False).drift),
    )
    sys.stdout.write(_as_json(found) if arguments.json else _as_text(found, budget))
    return 0 if found.is_within else 1


def _as_json(found: NullRun) -> str:
    content = found._asdict() | {"bound": found.bound, "is_within": found.is_within}
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


def _as_text(found: NullRun, budget: Budget) -> str:
    advice = "" if found.is_within else "Give the baseline more rows, in the order of the traffic, or windows more rows (docs/drift.md).\n"
    return (
        f"{found.windows:,} windows that do not drift, against {found.baselines} baselines: {found.alerts} alerts.\n"
        f"A budget of {budget} allows {found.allowed:.0f}, and up to {found.bound} may come by chance: {'within' if found.is_within else 'NOT within'} the budget.\n{advice}"
    )
