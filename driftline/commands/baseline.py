"""`driftline baseline`: what a model's traffic will be compared with, from a table or from the store."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from config.load import ConfigError
from config.options import add_config_option, add_option, settings_of
from detectors.arrays import Column, Columns, Integers
from detectors.baseline import BaselineError, build_baseline, save_baseline
from detectors.cycle import Cycle, Timed
from detectors.dependence import Dependence
from detectors.quality import baseline_findings
from detectors.risk import describe
from detectors.tables import read_table
from driftline.labelled_risk import pairs_from_store, pairs_of_columns, required, risk_of
from driftline.stored_columns import columns_from_store
from driftline.stored_exchanges import Period
from driftline.time_argument import time_ns
from records.baseline import Baseline, NumericBaseline, RiskBaseline

_SMALL_ROWS: Final = 2_000
_FINDINGS: Final = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--model", required=True, metavar="NAME", help="The model that the baseline is of.")
    parser.add_argument("--version", default="", metavar="TEXT", help="The model's version. (default: any)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from", dest="table", type=Path, metavar="FILE", help="A table, *.csv or *.parquet: a row per prediction, a column per feature.")
    source.add_argument("--from-store", action="store_true", help="The model's stored traffic.")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="Where to write the baseline, as JSON.")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="COLUMN", help="A column that is not a feature, such as a label or an id; repeatable."
    )
    parser.add_argument("--label", metavar="COLUMN", help="With --from: what turned out to be true. With --prediction, the baseline knows the model's risk.")
    parser.add_argument("--prediction", metavar="COLUMN", help="With --from and --label: what the model said. Labels of stored traffic are in the store.")
    parser.add_argument(
        "--cycle",
        type=Cycle,
        choices=list(Cycle),
        metavar="day|week",
        help="What repeats in the traffic: each hour of it is then compared with the same hours of the baseline. (default: nothing does)",
    )
    parser.add_argument(
        "--time-column", metavar="NAME", help="With --from: when each row was, timestamps or Unix seconds. Needed for --cycle, and for the age of timestamps."
    )
    parser.add_argument("--since", type=time_ns, metavar="TIME", help="With --from-store: from this time on, ISO 8601, UTC unless it says otherwise.")
    parser.add_argument("--until", type=time_ns, metavar="TIME", help="With --from-store: before this time.")
    add_config_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--clickhouse", "store.clickhouse")


def run(arguments: argparse.Namespace) -> int:
    """Make the baseline: 0 if it was written, 2 if what was given does not allow one."""
    try:
        baseline = _from_store(arguments) if arguments.from_store else _from_table(arguments)
        save_baseline(baseline, arguments.out)
    except (ConfigError, ValueError) as error:
        sys.stderr.write(f"driftline baseline: {error}\n")
        return 2
    sys.stdout.write(_summary(baseline, arguments.out))
    return 0


def _from_table(arguments: argparse.Namespace) -> Baseline:
    if arguments.since is not None or arguments.until is not None:
        raise BaselineError("--since and --until choose a period of the store: give them with --from-store")
    if arguments.cycle and not arguments.time_column:
        raise BaselineError("--cycle needs the time of each row: name its column with --time-column")
    if (arguments.label is None) != (arguments.prediction is None):
        raise BaselineError("--label and --prediction tell the risk together: give both, or neither")
    table = read_table(arguments.table, excluded=arguments.exclude, time_column=arguments.time_column)
    if table.left_out:
        named = ", ".join(f"{name} ({kind})" for name, kind in table.left_out.items())
        sys.stderr.write(f"driftline baseline: left out, since they are neither numbers nor text: {named}\n")
    columns = dict(table.columns)
    risk = _risk_from_columns(arguments, columns) if arguments.label else None
    if not columns:
        raise BaselineError(f"{arguments.table} has no column of numbers or text")
    return _build(arguments, columns, table.times_ns, arguments.table.name, risk)


def _risk_from_columns(arguments: argparse.Namespace, columns: dict[str, Column]) -> RiskBaseline:
    """Return the risk, and take the columns that it is made of from those of the features: requests do not have them."""
    absent = next((name for name in (arguments.label, arguments.prediction) if name not in columns), None)
    if absent is not None:
        raise BaselineError(f"{arguments.table} has no column {absent!r} of numbers or text")
    pairs = pairs_of_columns(columns[arguments.prediction], columns[arguments.label])
    for name in {arguments.label, arguments.prediction}:
        if not name.startswith("output."):
            del columns[name]
    return required(risk_of(pairs, source=arguments.table.name, created_at_ns=time.time_ns()), len(pairs))


def _from_store(arguments: argparse.Namespace) -> Baseline:
    if arguments.label or arguments.prediction:
        raise BaselineError("--label and --prediction name columns of a table: the store knows the labels of its traffic")
    settings, period = settings_of(arguments, routes_needed=False), Period(arguments.model, arguments.version, arguments.since, arguments.until)
    columns, times_ns = columns_from_store(settings, period)
    risk = risk_of(pairs_from_store(settings, period), source="store", created_at_ns=time.time_ns())
    return _build(arguments, {name: column for name, column in columns.items() if name not in arguments.exclude}, times_ns, "store", risk)


def _build(arguments: argparse.Namespace, columns: Columns, times_ns: Integers | None, source: str, risk: RiskBaseline | None) -> Baseline:
    timed = Timed(times_ns, arguments.cycle) if arguments.cycle and times_ns is not None else None
    baseline = build_baseline(
        columns, model=arguments.model, version=arguments.version, source=source, created_at_ns=time.time_ns(), timed=timed, times_ns=times_ns
    )
    if unaged := [time.name for time in baseline.times if not time.has_age]:
        named = ", ".join(unaged)
        sys.stderr.write(
            f"driftline baseline: timestamps are not watched, since nothing says when the rows were: {named}; name that column with --time-column\n"
        )
    return msgspec.structs.replace(baseline, risk=risk)


def _summary(baseline: Baseline, path: Path) -> str:
    numeric = sum(isinstance(feature, NumericBaseline) for feature in baseline.features)
    lines = [f"{path}: {baseline.rows:,} rows of {baseline.model}, {numeric} numeric and {len(baseline.features) - numeric} categorical features"]
    if baseline.rows < _SMALL_ROWS:
        lines.append(f"  a small baseline sees only large changes: {_SMALL_ROWS:,} rows or more are better, 5,000 good (docs/drift.md)")
    name, rows = min(((feature.name, Dependence(feature.memories).independent(baseline.rows)) for feature in baseline.features), key=lambda each: each[1])
    if rows < baseline.rows / 2:
        lines.append(f"  neighbouring rows are alike: {name} is as noisy as {rows:,.0f} independent rows")
    if risk := baseline.risk:
        lines.append(f"  {risk.rows:,} labelled rows: {describe(risk, None)}")
    found = baseline_findings(baseline)
    lines += [f"  {finding.text}" for finding in found[:_FINDINGS]]
    if len(found) > _FINDINGS:
        lines.append(f"  and {len(found) - _FINDINGS} more features of which not all can be compared")
    return "\n".join(lines) + "\n"
