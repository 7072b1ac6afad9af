"""Who read or changed what."""

from __future__ import annotations

import pwd

import msgspec


class AuditEntry(msgspec.Struct, frozen=True):
    """Somebody read or changed something, or tried to."""

    at: str
    """RFC 3339, UTC, to the microsecond."""
    who: str
    """A user of this machine, the name that was authenticated, or from where a request came that showed none."""
    action: str
    what: str


def user_name(uid: int) -> str:
    """Return the name of a user of this machine, the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
