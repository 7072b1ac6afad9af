"""`driftline alerts`: files for Prometheus and Alertmanager, and a test of who is told."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final

from alerts.prometheus.routes import routes_file
from alerts.prometheus.rules import rules_file
from config.load import ConfigError
from config.options import add_config_option, settings_of
from config.settings import Settings
from driftline.channel_test import try_channels

_FILES: Final = {"rules": rules_file, "routes": routes_file}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    rules = actions.add_parser("rules", help="print a file of rules for Prometheus", description="Print the alerts as a file of rules for Prometheus.")
    routes = actions.add_parser(
        "routes", help="print a configuration for Alertmanager", description="Print who is told of which alert as a configuration for Alertmanager."
    )
    test = actions.add_parser(
        "test",
        help="send a test to everyone who is told",
        description="Send an alert that says it is a test, and its end, to everyone who is told of alerts, whatever the hour. Exit status 1 where it did not arrive.",
    )
    for action in (rules, routes, test):
        add_config_option(action)


def run(arguments: argparse.Namespace) -> int:
    """Print the file that was asked for, or send the test."""
    try:
        settings = settings_of(arguments, routes_needed=False)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.action == "test":
        return _test(settings)
    sys.stdout.write(_FILES[arguments.action](settings))
    return 0


def _test(settings: Settings) -> int:
    outcomes = list(asyncio.run(try_channels(settings)))
    if not outcomes:
        sys.stderr.write("driftline: nobody is told of alerts but the log: set alerts.receivers or alerts.webhook (docs/alerts.md)\n")
        return 1
    for name, failure in outcomes:
        sys.stdout.write(f"{name}: {failure or 'delivered'}\n")
    return 1 if any(failure for _, failure in outcomes) else 0
