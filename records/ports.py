"""The protocols by which siblings use each other without importing each other; driftline/topology.py joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from records.acceptance import AcceptReport, AcceptRequest
from records.access import Denied, Identity
from records.alert import Alert
from records.changes import Changes
from records.exchange import Exchange
from records.explanation import Explanation
from records.forgetting import ForgetReport, ForgetRequest
from records.ids import ExchangeId
from records.outcome import Outcome
from records.receipt import Receipt
from records.status import ModelStatus, StatusReport, TracedValue
from records.verdict import Verdict, VerdictKind


class Tap(Protocol):
    """Where the data plane puts its records. Never blocks, never raises."""

    def leaves_out(self, route: str, exchange_id: ExchangeId) -> bool:
        """Whether the settings want no record of this exchange, which is counted where so: asked once for each record, before anything is kept for it."""
        ...

    def append(self, exchange: Exchange) -> int:
        """Keep the record; return its sequence, or 0 where it was not kept, and that was counted."""
        ...

    def amend(self, sequence: int, outcome: Outcome) -> None:
        """Add what became known after `append` returned `sequence`."""
        ...


class Authenticate(Protocol):
    """Says who somebody is."""

    def __call__(self, authorization: bytes, certificate: str) -> Identity | Denied | None:
        """Return who shows this Authorization field, and this verified certificate (whom it names); each is empty where there is none.

        None where nothing is shown that is for us: the field may be for somebody before or behind us. A key or token that is not good is refused.
        """
        ...

    def refresh(self) -> None:
        """Take what lies in files again where they have changed. Called every second."""
        ...


class Gate(Protocol):
    """Says who may send requests through the data plane. Asked on each request's way: never waits."""

    def admit(self, method: bytes, target: bytes, fields: Mapping[bytes, bytes], certificate: str, address: str) -> Identity | Denied:
        """Return who sends a request, or why it is refused.

        `fields` are its header fields by lower-case name, `certificate` is whom a verified certificate names, empty without one, and `address` where it comes from.
        """
        ...

    def refresh(self) -> None:
        """Take what lies in files again where they have changed. Called every second."""
        ...


class Counters(Protocol):
    """Plain integers that survive the process. Registering is slow, adding is one store to memory."""

    def slot(self, metric: str, *labels: str) -> int:
        """Return the index of the counter of `metric` with these label values, in the metric's label order."""
        ...

    values: memoryview[int]
    """`values[slot] += n` adds."""


class Notifier(Protocol):
    """Tells people. One attempt; whoever holds the queue tries again."""

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Tell about these changes of state; raise `NotDeliveredError` where it cannot be known that it arrived."""
        ...


class NotDeliveredError(Exception):
    """A notification may not have arrived; the text says why, in one line."""


class Audit(Protocol):
    """Where it is put on record who reads or changes what. Called on threads."""

    def __call__(self, who: str, action: str, what: str) -> None:
        """Keep the entry, and return when it is kept. Raises OSError where it cannot be: then the action must not be done either."""
        ...


class Forget(Protocol):
    """Deletes everything about an exchange, a request or a subject. Called on a thread."""

    def __call__(self, wanted: ForgetRequest, who: str) -> ForgetReport:
        """Delete what is there, and see to it that what is still on its way goes too.

        Raises ValueError where it cannot be known what is meant, OSError where this cannot be put on record: then nothing was done.
        """
        ...


class Accept(Protocol):
    """Makes the traffic of a period a model's new baseline. Called on a thread."""

    def __call__(self, wanted: AcceptRequest, who: str) -> AcceptReport:
        """Return when the new baseline holds, and a restart would keep it.

        Raises ValueError where none can be made of what was asked for, `StoreUnavailableError` where the store or the detectors cannot be asked now, OSError where
        this cannot be put on record: then nothing was done.
        """
        ...


class Views(Protocol):
    """What the operator's surface shows. Called on threads, never on an event loop: methods may read files."""

    def unready(self) -> Sequence[str]:
        """Return why the watching side does not work now, a sentence each; nothing when it does."""
        ...

    def status(self) -> StatusReport:
        """Return the counts and the state of every part."""
        ...

    def figures(self) -> tuple[StatusReport, Mapping[tuple[str, ...], float]]:
        """Return the status and, of the same moment, what is counted where it happens, in the workers' ledgers and in the monitor: by metric name, then label values."""
        ...

    def exemplars(self) -> Mapping[tuple[str, ...], TracedValue]:
        """Return observations that traces show, by the counter of their bucket: metric name, then label values."""
        ...

    def models(self) -> Sequence[ModelStatus]:
        """Return the watched models, one entry per name."""
        ...

    def alerts(self) -> Sequence[Alert]:
        """Return pending and firing alerts, then those resolved lately."""
        ...

    def windows(self, model: str, kind: VerdictKind, limit: int) -> Sequence[Verdict]:
        """Return the verdicts of this kind on the latest windows of a model, newest first. Raises `StoreUnavailableError`."""
        ...

    def explanation(self, model: str, index: int | None, baseline_id: str | None) -> Explanation | None:
        """Return why the verdict on a model's window, the latest where there is no index, is what it is; None where there is no such window.

        Of several windows with one index, of different baselines, the latest. Raises `StoreUnavailableError`.
        """
        ...

    def changes(self, model: str, period_seconds: float) -> Changes:
        """Return what changed from a model's last period but one to its last one. Raises ValueError where there is nothing to compare, `StoreUnavailableError`."""
        ...

    def exchanges(self, identifier: str) -> Sequence[Exchange]:
        """Return the stored exchanges, of all arms, with this exchange id (canonical UUID) or request id. Raises `StoreUnavailableError`."""
        ...


class StoreUnavailableError(Exception):
    """The store cannot be asked now; the text says why, in one line."""


class LabelIntake(Protocol):
    """Take labels from a caller. Called on a thread."""

    def __call__(self, content: bytes, content_type: str) -> Receipt:
        """Keep what are labels in this body, so that no kill loses them, and say which lines are not.

        Raises `UnreadableLabelsError` where none could be read, `LabelsNotKeptError` where they cannot be kept now: then none was.
        """
        ...


class UnreadableLabelsError(ValueError):
    """A body without lines that could be read one by one; the text says what was expected."""


class LabelsNotKeptError(Exception):
    """There is no room for more labels now, or they cannot be written; the text says which and what to do."""


class EventIntake(Protocol):
    """Take CloudEvents of payload loggers. Called on the event loop."""

    async def __call__(self, content: bytes, fields: Mapping[str, str]) -> Receipt:
        """Take what are events in this body, with these header fields (lower-case names), and say which are not.

        Raises `UnreadableEventsError` where there are none at all, `EventsNotTakenError` where they cannot be taken now: then none was.
        """
        ...


class UnreadableEventsError(ValueError):
    """A body that is no CloudEvent and holds none; the text says what was expected."""


class EventsNotTakenError(Exception):
    """No event can be recorded now; the text says why."""


class ReadOnlySql(Protocol):
    """Answer a user's query over the store, and only that. Called on a thread."""

    def __call__(self, query: str, output_format: str) -> bytes:
        """Return the result in a format of ClickHouse's, for example `JSONEachRow`.

        Raises `QueryRefusedError` where the query is not one that may be asked, `QueryFailedError` where the engine could not answer it.
        """
        ...


class QueryRefusedError(Exception):
    """The query would do more than read the store's tables, or the format is unknown; the text says what is allowed."""


class QueryFailedError(Exception):
    """The engine could not answer; the text is its message, in one line."""
