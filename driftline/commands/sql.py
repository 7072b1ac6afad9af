"""`driftline sql QUERY`: one query over the store, which can read its tables and nothing else."""

from __future__ import annotations

import argparse
import os
import sys

from config.load import ConfigError
from config.options import add_config_option, add_option, settings_of
from driftline.store_access import ask
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--clickhouse", "store.clickhouse")
    add_option(parser, "--cluster", "store.cluster")
    parser.add_argument(
        "--format",
        metavar="NAME",
        default="PrettyCompact" if sys.stdout.isatty() else "TabSeparated",
        help="an output format of ClickHouse, for example JSONEachRow, CSVWithNames or Vertical; by default PrettyCompact on a terminal, else TabSeparated",
    )
    parser.add_argument("query", metavar="QUERY", help='for example "SELECT model, count() FROM exchanges GROUP BY model"')


def run(arguments: argparse.Namespace) -> int:
    """Print the answer. 1 where the query failed, 2 where it is not allowed."""
    try:
        settings = settings_of(arguments, routes_needed=False)
        for chunk in ask(settings, arguments.query, arguments.format):
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (QueryRefusedError, ConfigError) as error:
        return _complain(error, 2)
    except (QueryFailedError, StoreUnavailableError, OSError) as error:
        return _complain(error, 1)
    return 0


def _complain(error: Exception, status: int) -> int:
    sys.stderr.write(f"driftline sql: {error}\n")
    return status
