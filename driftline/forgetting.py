"""Forgetting: what is asked to be forgotten is deleted at once, and once more when all that was on its way then has arrived.

    asked → on the disk (forgetting.state) → deleted from the store → … → the spool's records of then are loaded → deleted again, and from the disk

Between an exchange and its last trace in the store lie the spool, replies of shadows, outcomes, decoded features and labels. So a request to forget stands
until the loader has passed what the spool held, and for a minute at least; through crashes, and through any time in which the store is down.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from privacy.keys import Hasher
from records.forgetting import ForgetReport, ForgetRequest, Forgettable
from records.ports import Audit, StoreUnavailableError
from store.clickhouse.forgetting import Forgetter
from store.spool.cursor import Cursor
from store.spool.ledger import read_ledger
from store.spool.listing import writer_names
from store.spool.state import read_state, write_state

STATE_NAME: Final = "forgetting.state"
"""In the spool."""

STANDING_AT_MOST: Final = 10_000
_LEAST_NS: Final = 60_000_000_000

_log = logging.getLogger(__name__)


class Standing(msgspec.Struct, frozen=True):
    """A request that is not done with."""

    what: Forgettable
    asked_at_ns: int
    positions: dict[str, int]
    """The last record that each writer had appended."""


class ForgettingState(msgspec.Struct, frozen=True):
    """What a restart must not forget to forget."""

    standing: tuple[Standing, ...] = ()


class Forgetting:
    """May be used from any thread. Raises DamagedStateError where the state cannot be read."""

    def __init__(self, spool: Path, forgetter: Forgetter, cursors: Callable[[], Mapping[str, Cursor]], hashers: Sequence[Hasher], audit: Audit) -> None:
        """`cursors` are those of the store's loader as they were last written; `hashers` all keys that subjects may be hashed with."""
        self._spool = spool
        self._state_file = spool / STATE_NAME
        self._state = read_state(self._state_file, ForgettingState) or ForgettingState()
        self._forgetter = forgetter
        self._cursors = cursors
        self._hashers = hashers
        self._audit = audit
        self._lock = threading.Lock()

    def forget(self, wanted: ForgetRequest, who: str, now_ns: int) -> ForgetReport:
        """Delete what is there, and see to it that what is still on its way goes too; see `records.ports.Forget`."""
        what = forgettable(wanted, self._hashers)
        with self._lock:
            if len(self._state.standing) >= STANDING_AT_MOST:
                raise ValueError(f"{STANDING_AT_MOST:,} requests to forget wait already for what is on its way; ask again in some minutes")
            self._audit(who, "forget", _described(what))
            standing = Standing(what, now_ns, _last_sequences(self._spool))
            self._keep((*self._state.standing, standing))
            return self._report(standing)

    def step(self, now_ns: int) -> None:
        """Do again what is due. Raises StoreUnavailableError, OSError."""
        with self._lock:
            due = [each for each in self._state.standing if now_ns - each.asked_at_ns >= _LEAST_NS and not self._unread(each)]
            for each in due:
                self._forgetter.forget(each.what)
            if due:
                self._forgetter.purge()
                self._keep(tuple(each for each in self._state.standing if each not in due))

    def _report(self, standing: Standing) -> ForgetReport:
        unread = self._unread(standing)
        try:
            return ForgetReport(deleted=self._forgetter.forget(standing.what), unread=unread)
        except StoreUnavailableError as error:
            return ForgetReport(deleted={}, unread=unread, error=str(error))

    def _unread(self, standing: Standing) -> int:
        """Return how many records of then the loader has yet to pass; those of a writer that is gone it has."""
        cursors, present = self._cursors(), set(writer_names(self._spool))
        return sum(max(0, last - cursors.get(writer, Cursor()).sequence) for writer, last in standing.positions.items() if writer in present)

    def _keep(self, standing: tuple[Standing, ...]) -> None:
        state = ForgettingState(standing)
        write_state(self._state_file, state, fsync=True)
        self._state = state


def forgettable(wanted: ForgetRequest, hashers: Sequence[Hasher]) -> Forgettable:
    """Return what is meant, with a subject's hashes in its place. Raises ValueError with a sentence for the user."""
    given = [name for name, value in msgspec.structs.asdict(wanted).items() if value]
    if len(given) != 1:
        raise ValueError(f"expected one of an exchange id, a request id and a subject, found {' and '.join(given) or 'none'}")
    if wanted.subject:
        if not hashers:
            raise ValueError("subjects are found by their hashes, and privacy.hash_keys has no key: name the settings with --config")
        return Forgettable(subjects=tuple(hasher(wanted.subject.encode("utf-8", "surrogatepass")) for hasher in hashers))
    if wanted.request_id:
        return Forgettable(request_id=wanted.request_id)
    try:
        return Forgettable(exchange_id=str(UUID(wanted.exchange_id)))
    except ValueError:
        raise ValueError(f"expected an exchange id such as 01890a5d-ac96-774b-bcce-b302099a8057, found {wanted.exchange_id!r}") from None


def _described(what: Forgettable) -> str:
    """Say what is forgotten, a subject by its hash."""
    if what.subjects:
        return f"subject {what.subjects[0]}"
    return f"exchange {what.exchange_id}" if what.exchange_id else f"request {what.request_id}"


def _last_sequences(spool: Path) -> dict[str, int]:
    found = {}
    for writer in writer_names(spool):
        try:
            found[writer] = read_ledger(spool / writer).sequence
        except (FileNotFoundError, ValueError):
            continue  # gone, or none that anybody can read
    return found
