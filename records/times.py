"""Times as people and other programs read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_time(time_ns: int) -> str:
    """Return Unix nanoseconds as RFC 3339 text in UTC, to the millisecond.

    >>> format_time(1_763_640_000_123_999_999)
    '2025-11-20T12:00:00.123Z'
    """
    moment = _EPOCH + timedelta(milliseconds=time_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
