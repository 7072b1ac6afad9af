"""Features that are left alone.

Redacted ones are missing or constant, and hashed ones change with their key; how long a stream took follows the load. None of that is drift.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from config.settings import RouteSettings
from detectors.baseline import restricted
from records.baseline import Baseline
from records.payload import STREAM_TIMES


def unwatched(routes: Sequence[RouteSettings]) -> re.Pattern[str]:
    """Return what matches the names of features that some route redacts: a column of that name, or one of several of a tensor or nested object."""
    names = sorted({re.escape(rule.at.feature) for route in routes for rule in route.redact if rule.at.feature})
    return re.compile(rf"(?:.*\.)?(?:{'|'.join(names)})(?:\[.*\]|\..*)?" if names else r"(?!)", re.DOTALL)


NOTHING: Final = unwatched(())

_TIMES: Final = frozenset(f"output.{name}" for name in STREAM_TIMES)


def is_watched(name: str, redacted: re.Pattern[str], event_time: str = "") -> bool:
    """Return whether a feature of this name is one that is watched: not what is redacted, nor a time."""
    of_event_time = bool(event_time) and (name == event_time or name.startswith(f"{event_time}."))  # as a timestamp it has features of its own
    return name not in _TIMES and not of_event_time and not redacted.fullmatch(name)


def watched_part(baseline: Baseline, redacted: re.Pattern[str], event_time: str = "") -> Baseline:
    """Return the baseline without what is redacted, and without times, those of streams (they follow the load) and `event_time`.

    It is another one by its id where that leaves any out.
    """
    return restricted(baseline, lambda name: is_watched(name, redacted, event_time))
