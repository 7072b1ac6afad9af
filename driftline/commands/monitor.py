"""`driftline monitor`: the watching side alone, over a spool that proxies write."""

from __future__ import annotations

import argparse
import sys

from config.load import ConfigError
from config.options import add_config_option, add_option, settings_of
from driftline.children import log_to_stderr


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_option(parser)
    add_option(parser, "--spool", "spool.directory")
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--clickhouse", "store.clickhouse")
    add_option(parser, "--cluster", "store.cluster")
    add_option(parser, "--admin", "admin")
    add_option(parser, "--anonymous", "access.anonymous")
    add_option(parser, "--budget", "drift.budget")
    add_option(parser, "--alert-webhook", "alerts.webhook")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    log_to_stderr("monitor")
    try:
        settings = settings_of(arguments, routes_needed=False)
    except ConfigError as error:
        sys.stderr.write(f"driftline: {error}\n")
        return 2

    if not settings.watch:
        from driftline.forwarder import run_forwarder  # noqa: PLC0415 - one of two, and the other takes memory

        return run_forwarder(settings, supervised=False)
    from driftline.monitor import run_monitor  # noqa: PLC0415 - likewise

    def announce(admin: str) -> None:
        sys.stderr.write(f"driftline: reading {settings.spool_directory}, admin on {admin}\n")

    return run_monitor(settings, supervised=False, on_ready=announce)
