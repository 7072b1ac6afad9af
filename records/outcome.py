"""What became known about an exchange only after its record was written."""

from __future__ import annotations

import msgspec

from records.exchange import ErrorKind


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Amends the record at the same position (writer, sequence); at most one follows a record."""

    exchange_id: bytes
    error: ErrorKind
    """`CLIENT_LEFT` where the client closed before it had taken the whole reply."""
    total_ns: int
    """From the request's head until the last byte was taken by the client's side, or the client left."""
    received_bytes: int = 0
    """For an upgraded connection: bytes from the client after the upgrade."""
    sent_bytes: int = 0
    """For an upgraded connection: bytes to the client after the upgrade."""
