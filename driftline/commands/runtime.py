"""`driftline runtime TOOL`: what is done to ONNX models away from serving."""

from __future__ import annotations

import argparse
import sys

from driftline.tools.arguments import add_tools


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the tools, each with its own arguments."""
    add_tools(parser)


def run(_arguments: argparse.Namespace) -> int:
    """Say that a tool is needed."""
    sys.stderr.write("driftline runtime: name one of the tools that `driftline runtime --help` lists\n")
    return 2
