"""`driftline up`: proxy and monitor under one supervisor."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Final

from config.load import ConfigError
from config.options import add_config_option, add_option, add_shadow_option, settings_of
from driftline.children import log_to_stderr
from driftline.supervisor import Supervisor
from driftline.topology import monitor_plan, worker_plans

_NEEDED_BY_MONITOR: Final = ("aiohttp", "chdb", "clickhouse_connect", "numpy", "orjson", "prometheus_client", "scipy")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_option(parser)
    add_option(parser, "--listen", "proxy.listen")
    add_option(parser, "--upstream", "route.upstream")
    add_shadow_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--admin", "admin")
    add_option(parser, "--workers", "proxy.workers")
    add_option(parser, "--baseline", "route.baseline")
    add_option(parser, "--budget", "drift.budget")
    add_option(parser, "--alert-webhook", "alerts.webhook")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    log_to_stderr("supervisor")
    for package in _NEEDED_BY_MONITOR:
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    try:
        settings = settings_of(arguments)
        plans, address = worker_plans(settings)
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"driftline: {error}\n")
        return 2
    data = Path(settings.data_dir).resolve()
    ways = ", ".join(f"{route.path} to {route.upstream}" for route in settings.routes)

    async def supervise() -> int:
        return await Supervisor([*plans, monitor_plan(settings)]).run(
            lambda details: f"listening on {address} ({ways}); admin on {details['monitor']}; data in {data}"
        )

    return asyncio.run(supervise())
