"""`driftline alerts`: files for Prometheus and Alertmanager."""

from __future__ import annotations

import argparse
import sys

from alerts.prometheus.routes import routes_file
from alerts.prometheus.rules import rules_file
from config.load import ConfigError
from config.options import add_config_option, settings_of

_FILES = {"rules": rules_file, "routes": routes_file}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    rules = actions.add_parser("rules", help="print a file of rules for Prometheus", description="Print the alerts as a file of rules for Prometheus.")
    routes = actions.add_parser(
        "routes", help="print a configuration for Alertmanager", description="Print who is told of which alert as a configuration for Alertmanager."
    )
    for action in (rules, routes):
        add_config_option(action)


def run(arguments: argparse.Namespace) -> int:
    """Print the file that was asked for."""
    try:
        settings = settings_of(arguments, routes_needed=False)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(_FILES[arguments.action](settings))
    return 0
