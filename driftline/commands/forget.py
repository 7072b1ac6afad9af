"""`driftline forget`: delete everything about an exchange, a request or a subject."""

from __future__ import annotations

import argparse
import sys

from config.load import ConfigError
from config.options import add_config_option, add_option, settings_of
from driftline.forget_request import send
from records.forgetting import ForgetReport, ForgetRequest
from records.ports import StoreUnavailableError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--clickhouse", "store.clickhouse")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--exchange-id", metavar="UUID", default="", help="one exchange, with the replies of its shadows")
    wanted.add_argument("--request-id", metavar="ID", default="", help="all exchanges with this X-Request-Id")
    wanted.add_argument("--subject", metavar="VALUE", default="", help="all exchanges in which routes.subject had this value; needs privacy.hash_keys")


def run(arguments: argparse.Namespace) -> int:
    """Forget, and say how much: 0 where it is done or sure to be, 1 where it cannot be done now, 2 where it cannot be known what is meant."""
    try:
        settings = settings_of(arguments, routes_needed=False)
        report = send(settings, ForgetRequest(exchange_id=arguments.exchange_id, request_id=arguments.request_id, subject=arguments.subject))
    except (ConfigError, ValueError) as error:
        return _complain(error, 2)
    except (StoreUnavailableError, OSError) as error:
        return _complain(error, 1)
    sys.stdout.write(_text(report))
    return 0


def _text(report: ForgetReport) -> str:
    if report.error:
        return f"The store cannot delete now, and will when it can: {report.error}\n"
    rows = ", ".join(f"{count:,} in {table}" for table, count in sorted(report.deleted.items())) or "none"
    waiting = f"; of {report.unread:,} records that wait in the spool, those meant go when they are stored" if report.unread else ""
    return f"Rows deleted: {rows}{waiting}. What is still on its way is deleted within minutes.\n"


def _complain(error: Exception, status: int) -> int:
    sys.stderr.write(f"driftline forget: {error}\n")
    return status
