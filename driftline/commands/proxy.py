"""`driftline proxy`: the data plane alone. Its spool waits for a monitor."""

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
    add_shadow_option(parser)
    add_option(parser, "--spool", "spool.directory")
    add_option(parser, "--workers", "proxy.workers")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    log_to_stderr("supervisor")
    return supervise(lambda: settings_of(arguments), monitored=False)
