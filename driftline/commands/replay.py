"""`driftline replay`: stored traffic, sent to a service again, and its replies beside those of then."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from config.addresses import Url
from config.load import ConfigError
from config.options import settings_of
from config.units import QuantityError
from driftline.decoding import Decoding
from driftline.periods import add_period_options, period_of
from driftline.replaying.pacing import Pace
from driftline.replaying.report import Report
from driftline.replaying.sending import Replay
from driftline.stored_exchanges import StoredExchange, Traffic, exported_exchanges, stored_exchanges
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError

STORE: Final = "store"

_PROGRESS_SECONDS: Final = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--from", dest="source", required=True, metavar="store|FILE", help="The store, or a file that `driftline export` wrote.")
    parser.add_argument("--to", required=True, type=_url, metavar="URL", help="The service that gets the requests, and nobody else does.")
    add_period_options(parser, required=False)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--speed", type=_positive, default=1.0, metavar="X", help="How much faster than then: 10 makes ten minutes one. (default: as then)")
    pace.add_argument("--rate", type=_positive, metavar="N", help="Requests per second, whatever the times were.")
    parser.add_argument("--concurrency", type=_count, default=32, metavar="N", help="Requests on their way at a time at most. (default: %(default)s)")
    parser.add_argument("--timeout", type=_positive, default=60.0, metavar="SECONDS", help="How long a reply may take. (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Where to write the report; by default it is printed.")


def run(arguments: argparse.Namespace) -> int:
    """Replay: 0 if every request was answered, 1 if some were not or nothing was sent, 2 if what was asked is wrong."""
    report = Report(source=arguments.source, target=arguments.to)
    try:
        exchanges = _exchanges(arguments)
        asyncio.run(_replay(arguments, report, exchanges))
    except (ConfigError, ValueError) as error:
        return _complain(error, 2)
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        if not report.sent:
            return _complain(error, 1)
        _complain(f"broken off, and the report ends here: {error}", 1)
        _write(report, arguments.json)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("driftline replay: broken off\n")
    _write(report, arguments.json)
    return 0 if report.sent and report.answered == report.sent else 1


def _exchanges(arguments: argparse.Namespace) -> Iterator[StoredExchange]:
    if arguments.source != STORE:
        if arguments.model or arguments.version or arguments.since is not None or arguments.until is not None:
            raise ValueError("--model, --version, --since and --until choose traffic of the store: a file is sent as a whole")
        return exported_exchanges(Path(arguments.source))
    if not arguments.model:
        raise ValueError("--model is needed with --from store: whose traffic is to be sent")
    return stored_exchanges(settings_of(arguments, routes_needed=False), period_of(arguments), traffic=Traffic.SERVED)


async def _replay(arguments: argparse.Namespace, report: Report, exchanges: Iterator[StoredExchange]) -> None:
    decode = Decoding(settings_of(arguments, routes_needed=False).routes)
    replay = Replay(report, Pace(arguments.speed, arguments.rate), decode, concurrency=arguments.concurrency, timeout_seconds=arguments.timeout)
    progress = asyncio.create_task(_tell(report)) if sys.stderr.isatty() else None
    try:
        await replay.run(exchanges)
    finally:
        if progress:
            progress.cancel()
            with suppress(asyncio.CancelledError):
                await progress


async def _tell(report: Report) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        sys.stderr.write(f"{report.sent:,} sent, {report.answered:,} answered, {sum(report.failed.values()):,} failed\n")


def _write(report: Report, path: Path | None) -> None:
    content = msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
    if path is None:
        sys.stdout.write(content.decode())
        return
    path.write_bytes(content)
    outputs = report.outputs
    sys.stdout.write(
        f"{report.answered:,} of {report.sent:,} requests answered; statuses equal {report.status.equal:,} of {report.status.compared:,}, "
        f"outputs {outputs.equal:,} of {outputs.compared:,}; largest difference {report.largest_difference:g}; {path}\n"
    )


def _complain(error: object, status: int) -> int:
    sys.stderr.write(f"driftline replay: {error}\n")
    return status


def _url(text: str) -> str:
    try:
        url = Url.parse(text)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if url.scheme == "unix":
        raise argparse.ArgumentTypeError(f"expected an http:// or https:// URL, found {text!r}")
    return str(url)


def _number(kind: Callable[[str], float], expected: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        with suppress(ValueError):
            if 0 < (number := kind(text)) < 1e9:
                return number
        raise argparse.ArgumentTypeError(f"expected {expected} above 0, found {text!r}")

    return read


_positive: Final = _number(float, "a number")
_count: Final = _number(int, "a whole number")
