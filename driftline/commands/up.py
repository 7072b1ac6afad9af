"""`driftline up`: proxy and monitor under one supervisor."""

from __future__ import annotations

import argparse

from config.options import add_config_option, add_option, add_shadow_option, settings_of
from driftline.children import log_to_stderr
from driftline.topology import supervise


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_option(parser)
    add_option(parser, "--listen", "proxy.listen")
    add_option(parser, "--upstream", "route.upstream")
    add_option(parser, "--models", "runtime.models")
    add_shadow_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--admin", "admin")
    add_option(parser, "--anonymous", "access.anonymous")
    add_option(parser, "--workers", "proxy.workers")
    add_option(parser, "--baseline", "route.baseline")
    add_option(parser, "--budget", "drift.budget")
    add_option(parser, "--alert-webhook", "alerts.webhook")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    log_to_stderr("supervisor")
    return supervise(lambda: settings_of(arguments), monitored=True)
