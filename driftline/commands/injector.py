"""`driftline injector`: the admission webhook that puts Driftline into a cluster's pods."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from config.load import ConfigError
from driftline.children import log_to_stderr
from driftline.injecting import injection_of
from driftline.injector import run_injector


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--config", metavar="FILE", type=Path, help="a file of settings (docs/inject.md): `injector`, and what the pods' Driftline is told")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    log_to_stderr("injector")
    try:
        return run_injector(injection_of(arguments.config))
    except (ConfigError, OSError, ValueError) as error:
        sys.stderr.write(f"driftline: {error}\n")
        return 2
