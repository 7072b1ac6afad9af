"""`driftline reprocess`: the detectors again over a stored period, apart from those that watch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from config.load import ConfigError
from config.options import add_option, settings_of
from config.settings import Settings
from detectors.baseline import load_baseline
from detectors.budget import evidence_threshold
from driftline.decoding import Decoding
from driftline.model_watch import ModelName, ModelWatch
from driftline.periods import add_period_options, period_of
from driftline.redacted import unwatched
from driftline.stored_exchanges import Period, Traffic, stored_exchanges
from driftline.verdict_text import as_json, as_text
from records.baseline import Baseline
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError
from records.verdict import Verdict


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_period_options(parser)
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="What to compare with; by default it is learned from the period's first rows.")
    add_option(parser, "--budget", "drift.budget")
    add_option(parser, "--window-rows", "drift.window_rows")
    add_option(parser, "--baseline-rows", "drift.baseline_rows")
    parser.add_argument("--json", action="store_true", help="Print the verdicts as JSON.")


def run(arguments: argparse.Namespace) -> int:
    """Print the verdicts: 0 whether or not they alert, 1 where no window came about or the store cannot be asked, 2 if what was asked is wrong."""
    try:
        settings = settings_of(arguments, routes_needed=False)
        baseline = load_baseline(arguments.baseline, model=arguments.model) if arguments.baseline else None
        watch = _watch(settings, arguments, baseline)
        verdicts = list(_verdicts(settings, period_of(arguments), watch))
    except (ConfigError, ValueError) as error:
        return _complain(error, 2)
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        return _complain(error, 1)
    sys.stdout.write(as_json(verdicts) if arguments.json else "".join(f"{line}\n" for line in as_text(verdicts, settings.drift.budget)))
    status = watch.status(now_ns=0)
    if not verdicts:
        rows, wanted = status.baseline_rows, status.baseline_rows_wanted
        reason = f"{rows:,} of {wanted:,} rows of a baseline" if not status.baseline_id else f"{status.open_rows:,} rows"
        return _complain(f"the period has too little traffic of {arguments.model!r} that can be read for a window: {reason}", 1)
    return 0


def _watch(settings: Settings, arguments: argparse.Namespace, baseline: Baseline | None) -> ModelWatch:
    """Return what the monitor would watch the model with, if it were the only one."""
    watch = ModelWatch(ModelName(arguments.model, arguments.version), settings.drift, baseline, unwatched(settings.routes), on_rows=lambda _: None)
    watch.set_threshold(evidence_threshold(settings.drift.budget, window_seconds=settings.drift.window_time, models=1))
    return watch


def _verdicts(settings: Settings, period: Period, watch: ModelWatch) -> Iterator[Verdict]:
    """Yield the verdicts as they would have come: the time is that of the traffic."""
    decode = Decoding(settings.routes)
    now_ns = 0
    for stored in stored_exchanges(settings, period, traffic=Traffic.SERVED):
        now_ns = stored.exchange.started_at_ns
        watch.add(stored.exchange, *decode(stored.exchange), stored.exchange.version)
        if watch.columns.is_full or len(watch.columns) >= settings.drift.window_rows:
            yield from (result.verdict for result in watch.step(now_ns))
    yield from (result.verdict for result in watch.step(now_ns))


def _complain(error: object, status: int) -> int:
    sys.stderr.write(f"driftline reprocess: {error}\n")
    return status
