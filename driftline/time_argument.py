"""Times on the command line. Apart from what asks a store for them: a server of models has no pyarrow."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime


def time_ns(text: str) -> int:
    """Read a time as Unix nanoseconds, for argparse."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time as in 2026-01-31T12:00, found {text!r}") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)
