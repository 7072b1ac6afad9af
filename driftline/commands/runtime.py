"""`driftline runtime`: ONNX models in a directory, served; with the name of a tool, what is done to them away from serving."""

from __future__ import annotations

import argparse
import importlib.util
from typing import Final

from config.options import add_config_option, add_option, settings_of
from driftline.children import log_to_stderr
from driftline.runtime_site import RuntimeSite
from driftline.supervisor import run_site
from driftline.tools.arguments import add_tools

_NEEDED: Final = ("numpy", "onnxruntime", "orjson", "prometheus_client")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments, and the tools, each with its own."""
    add_config_option(parser)
    add_option(parser, "--models", "runtime.models")
    add_option(parser, "--listen", "runtime.listen")
    add_option(parser, "--device", "runtime.device")
    add_tools(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    log_to_stderr("supervisor")
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    return run_site(lambda handover: RuntimeSite(lambda: settings_of(arguments, routes_needed=False), handover))
