"""`driftline demo`: the product on real input, in a minute."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from config.units import QuantityError, Seconds

_EXTRAS: Final = ("aiohttp", "chdb", "clickhouse_connect", "numpy", "onnxruntime", "orjson", "pyarrow", "rich", "scipy", "skl2onnx", "sklearn")
"""Packages of the extra `[demo]` that a part of the demo needs."""
_INTERRUPTED: Final = 130
"""The exit code of a command that SIGINT ended, by convention of shells."""
_MIN_DURATION: Final = Seconds(20)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--headless", action="store_true", help="Print plain lines instead of a live screen, as is done where there is no terminal.")
    parser.add_argument(
        "--duration",
        type=_duration,
        default=Seconds(60),
        metavar="TIME",
        help=f"How long traffic flows, at least {_MIN_DURATION}; longer on a machine that is too slow. (default: 60s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write what was measured to this file as JSON.")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo: 0 if everything that it claims was seen to hold, 1 if not, 2 if it cannot start."""
    if missing := [name for name in _EXTRAS if find_spec(name) is None]:
        return _refused(f"the demo needs packages that are not installed ({', '.join(missing)}); install them with: pip install 'driftline[demo]'")
    if arguments.json and not arguments.json.absolute().parent.is_dir():
        return _refused(f"--json {arguments.json}: there is no directory {arguments.json.absolute().parent}; make it first")
    try:
        from driftline.demo.main import main  # noqa: PLC0415 - loads scikit-learn, which only a demo should pay for

        return main(arguments.duration, headless=arguments.headless, json_file=arguments.json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("driftline demo: interrupted; everything that was started has been stopped\n")
        return _INTERRUPTED


def _duration(text: str) -> Seconds:
    try:
        duration = Seconds.parse(text)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if duration < _MIN_DURATION:
        raise argparse.ArgumentTypeError(f"expected at least {_MIN_DURATION}, found {text}: there must be windows before the drift and after it")
    return duration


def _refused(reason: str) -> int:
    sys.stderr.write(f"driftline demo: {reason}\n")
    return 2
