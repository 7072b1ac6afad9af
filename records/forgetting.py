"""What is to be forgotten, and what became of it."""

from __future__ import annotations

import msgspec


class ForgetRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants forgotten: one of these."""

    exchange_id: str = ""
    request_id: str = ""
    subject: str = ""
    """As callers write it: found where the setting `routes.subject` says, and hashed before anything is kept of it."""


class Forgettable(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about these is to be deleted; one of them is given."""

    exchange_id: str = ""
    """The canonical text of its UUID."""
    request_id: str = ""
    subjects: tuple[str, ...] = ()
    """One person or thing by its hashes, one for each key: see `Exchange.subjects`."""


class ForgetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted now, and what is still to come."""

    deleted: dict[str, int]
    """Rows by table."""
    unread: int
    """Records that the spool held when this was asked for and that the store has not been given yet: what they have of it is deleted when they are stored."""
    error: str = ""
    """Why the store could not delete now; it will, when it can."""
