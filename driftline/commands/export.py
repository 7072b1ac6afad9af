"""`driftline export`: a model's stored traffic as a Parquet file."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from pyarrow import parquet

from config.load import ConfigError
from config.options import settings_of
from config.settings import Settings
from driftline.periods import add_period_options, period_of
from driftline.stored_exchanges import Period, stored_pages
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_period_options(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="Where to write; a file that is there is replaced when the new one is whole.")


def run(arguments: argparse.Namespace) -> int:
    """Write the file: 0 if it was written, 1 if there is nothing to write or the store cannot be asked, 2 if what was asked is wrong."""
    try:
        written = _export(settings_of(arguments, routes_needed=False), period_of(arguments), arguments.out)
    except ConfigError as error:
        return _complain(error, 2)
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        return _complain(error, 1)
    if not written:
        return _complain(f"the store has no traffic of the model {arguments.model!r} in this period", 1)
    sys.stdout.write(f"{arguments.out}: {written:,} exchanges of {arguments.model}\n")
    return 0


def _export(settings: Settings, period: Period, out: Path) -> int:
    """Return how many exchanges were written, of all arms; at none there is no file."""
    unfinished = out.with_name(f"{out.name}.new")
    writer: parquet.ParquetWriter | None = None
    written = 0
    try:
        for page in stored_pages(settings, period):
            writer = writer or parquet.ParquetWriter(unfinished, page.schema, compression="zstd")
            writer.write_table(page.cast(writer.schema))
            written += page.num_rows
        if writer:
            writer.close()
            unfinished.replace(out)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return written


def _complain(error: object, status: int) -> int:
    sys.stderr.write(f"driftline export: {error}\n")
    return status
