"""How commands ask for a period of a model's stored traffic."""

from __future__ import annotations

import argparse

from config.options import add_config_option, add_option
from driftline.stored_exchanges import Period
from driftline.time_argument import time_ns


def add_period_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Take `--model`, `--version`, `--since` and `--until`, and where the store is."""
    add_config_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--clickhouse", "store.clickhouse")
    parser.add_argument("--model", required=required, default="", metavar="NAME", help="Whose traffic.")
    parser.add_argument("--version", default="", metavar="TEXT", help="The model's version. (default: any)")
    parser.add_argument("--since", type=time_ns, metavar="TIME", help="From this time on, ISO 8601, UTC unless it says otherwise.")
    parser.add_argument("--until", type=time_ns, metavar="TIME", help="Before this time.")


def period_of(arguments: argparse.Namespace) -> Period:
    """Return the period that was asked for."""
    return Period(arguments.model, arguments.version, arguments.since, arguments.until)
