"""`driftline proxy`: the data plane alone. Its spool waits for a monitor."""

from __future__ import annotations

import argparse
import asyncio
import sys

from config.load import ConfigError
from config.options import add_config_option, add_option, add_shadow_option, settings_of
from driftline.children import log_to_stderr
from driftline.supervisor import Supervisor
from driftline.topology import worker_plans


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
    try:
        settings = settings_of(arguments)
        plans, address = worker_plans(settings)
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"driftline: {error}\n")
        return 2

    async def supervise() -> int:
        return await Supervisor(plans).run(lambda _: f"listening on {address}, recording to {settings.spool_directory}")

    return asyncio.run(supervise())
