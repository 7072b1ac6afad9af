"""`driftline accept`: a model's traffic since a time becomes its new baseline, and its drift alert is resolved."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

import msgspec

from config.load import ConfigError
from config.options import add_config_option, add_option, settings_of
from driftline.store_access import MonitorConnection, connect_to_monitor, order
from driftline.time_argument import time_ns
from records.acceptance import AcceptReport, AcceptRequest
from records.ports import StoreUnavailableError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    parser.add_argument("--model", required=True, metavar="NAME", help="The model whose traffic is as it should be now.")
    parser.add_argument(
        "--since", type=time_ns, metavar="TIME", help="From this time on, ISO 8601, UTC unless it says otherwise. (default: since the drift alert fired)"
    )
    parser.add_argument("--until", type=time_ns, metavar="TIME", help="Before this time. (default: now)")


def run(arguments: argparse.Namespace) -> int:
    """Ask the running monitor: 0 where the baseline holds, 1 where it cannot be asked now, 2 where no baseline can be made of what was asked for."""
    wanted = AcceptRequest(model=arguments.model, since=_moment(arguments.since), until=_moment(arguments.until))
    try:
        settings = settings_of(arguments, routes_needed=False)
        connection = connect_to_monitor(settings)
        if connection is None:
            return _complain(f"no monitor runs on {settings.data_dir}: start it, or name its directory with --data-dir", 1)
        report = _ask(connection, wanted)
    except (ConfigError, ValueError) as error:
        return _complain(error, 2)
    except (StoreUnavailableError, OSError) as error:
        return _complain(error, 1)
    sys.stdout.write(
        f"{report.model} is compared with {report.rows:,} rows of {report.source} from now on: baseline {report.baseline_id}, after {report.replaced}\n"
    )
    return 0


def _ask(connection: MonitorConnection, wanted: AcceptRequest) -> AcceptReport:
    return msgspec.json.decode(order(connection, "/accept", wanted, "see its log"), type=AcceptReport)


def _moment(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else datetime.fromtimestamp(at_ns / 1e9, UTC)


def _complain(error: Exception | str, status: int) -> int:
    sys.stderr.write(f"driftline accept: {error}\n")
    return status
