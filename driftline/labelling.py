"""The way of a label: accepted into a journal, settled against the one that holds, stored, joined with the predictions that it is about.

    body → journal → which one holds → table `labels` → its exchange, of every arm → prediction beside label → table `labelled`, and counts

Each arrow can be the last before a kill: what was in the journal is settled, stored or looked for again, and the tables know a repeated row.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from config.settings import LabelSettings
from driftline.label_keys import feedback_labels
from labels.comparing import absolute_error, prediction, same
from labels.journal import Journal, JournalError, SecondLook, Waiting
from labels.reading import Record, read_labels, records_of
from labels.settling import Held, Settlement, held_by, settle
from payloads.feedback import is_feedback
from records.exchange import Exchange, Role
from records.label import MAX_TEXT_CHARACTERS, NO_EXCHANGE, Compared, Label, Labelled, LabelSource, LabelTiming, Subject
from records.metrics import Metric
from records.payload import DecodeResult
from records.ports import LabelsNotKeptError, StoreUnavailableError, UnreadableLabelsError
from records.receipt import Receipt, Refusal
from records.status import LabelStatus
from store.clickhouse.labels import LabelTable, identity_of, stored_as

JOURNAL_NAME: Final = "labels.sqlite"
JOURNAL_LOCK_NAME: Final = "labels.lock"
"""In the data directory."""

LABELS_AT_MOST: Final = 200_000
"""In one batch: what fits into a body is bounded in bytes, and labels are larger than what says them."""

_ERRORS_TOLD: Final = 100
_STORED_AT_ONCE: Final = 5_000
_LOOKED_FOR_AT_ONCE: Final = 1_000
_FIRST_LOOK_NS: Final = 1_000_000_000
_LAST_LOOK_NS: Final = 600_000_000_000
_SHADOWS_NS: Final = 300_000_000_000
"""Shadows of an exchange answer, and are stored, within this time; after it labels look for them once more."""

_IDLE_SECONDS: Final = 0.2
_RETRY_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class Labelling:
    """`accept` is for any thread; `run` and `step` are for one. Raises JournalError where the journal cannot be opened."""

    def __init__(
        self,
        directory: Path,
        settings: LabelSettings,
        table: LabelTable,
        name: Callable[[Exchange], tuple[str, str]],
        decode: Callable[[Exchange], tuple[DecodeResult, DecodeResult]],
        prompt_seconds: float,
        shadowed: Container[str] = (),
    ) -> None:
        """`name` tells the model and version of an exchange, `decode` what its bodies say; a label within `prompt_seconds` of its exchange is not late.

        `shadowed` are the routes that have shadows.
        """
        self.journal: Final = Journal(directory / JOURNAL_NAME, max_received=settings.max_unstored, max_waiting=settings.max_waiting)
        self._settings = settings
        self._table = table
        self._name = name
        self._decode = decode
        self._prompt_ns = int(prompt_seconds * 1e9)
        self._shadowed = shadowed
        self._error = ""

    def accept_body(self, content: bytes, content_type: str, source: str) -> Receipt:
        """Keep what are labels in a body; see `records.ports.LabelIntake`."""
        return self.accept(records_of(content, content_type), source)

    def accept(self, records: Iterable[Record], source: str) -> Receipt:
        """Keep what are labels among these records, which are one batch: all of them, or none where that is not possible now."""
        labels: list[Label] = []
        errors: list[Refusal] = []
        refused = 0
        for each in read_labels(records, received_at_ns=time.time_ns(), source=source):
            if isinstance(each, Label):
                labels.append(each)
            else:
                refused += 1
                errors += [each] if len(errors) < _ERRORS_TOLD else []
            if len(labels) > LABELS_AT_MOST:
                raise UnreadableLabelsError(f"expected at most {LABELS_AT_MOST:,} labels at once, found more; send them in smaller parts")
        counts: dict[tuple[str, ...], float] = {(Metric.LABELS_RECEIVED.metric_name, source): len(labels), (Metric.LABELS_REFUSED.metric_name, source): refused}
        self._keep(labels, counts)
        return Receipt(accepted=len(labels), refused=refused, errors=tuple(errors))

    def _keep(self, labels: Sequence[Label], counts: Mapping[tuple[str, ...], float]) -> None:
        try:
            kept = self.journal.accept(labels, counts)
        except JournalError as error:
            raise LabelsNotKeptError(str(error)) from error
        if not kept:
            raise LabelsNotKeptError(f"more than labels.max_unstored ({self._settings.max_unstored:,}) labels would wait for the store; send these again later")

    def accept_feedback(self, exchanges: Iterable[Exchange]) -> None:
        """Keep what feedback among these exchanges says. What cannot be kept is counted as refused: nothing waits for it."""
        for exchange in exchanges:
            if exchange.role is Role.SERVED and is_feedback(exchange.path):
                labels = list(feedback_labels(exchange, time.time_ns()))
                try:
                    kept = self.journal.accept(labels, {(Metric.LABELS_RECEIVED.metric_name, LabelSource.FEEDBACK): len(labels)})
                    if not kept or not labels:
                        self.journal.count({(Metric.LABELS_REFUSED.metric_name, LabelSource.FEEDBACK): 1})
                except JournalError as error:
                    self._failed(str(error))

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set."""
        while not stop.is_set():
            try:
                busy = self.step(time.time_ns())
            except (StoreUnavailableError, JournalError) as error:
                self._failed(str(error))
                stop.wait(_RETRY_SECONDS)
            else:
                self._error = ""
                stop.wait(0 if busy else _IDLE_SECONDS)

    def step(self, now_ns: int) -> bool:
        """Store what was received, and look for exchanges of what was stored; return whether there may be more to do at once."""
        stored = self._store(now_ns)
        looked = self._look(now_ns)
        return self._look_again(now_ns) or looked or stored

    def status(self) -> LabelStatus:
        """Return how many labels are on their way."""
        try:
            unstored, waiting = self.journal.sizes()
        except JournalError as error:
            return LabelStatus(error=str(error))
        return LabelStatus(unstored=unstored, waiting=waiting, error=self._error)

    def counters(self) -> dict[tuple[str, ...], float]:
        """Return what was counted, as the metrics page takes it; nothing while the journal cannot be read."""
        try:
            return self.journal.counts()
        except JournalError:
            return {}

    def forget(self, names: Mapping[str, Sequence[str]]) -> int:
        """Delete the labels that are on their way to exchanges with these names: `exchange_id`, `request_id`, `key`. Raises JournalError."""
        ids = {UUID(name).bytes for name in names.get("exchange_id", ())}
        requests, keys = set(names.get("request_id", ())), set(names.get("key", ()))

        def is_meant(label: Label) -> bool:
            return label.subject.exchange_id in ids or label.subject.request_id in requests or label.subject.key in keys

        return self.journal.forget(is_meant, [*ids])

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def _store(self, now_ns: int) -> bool:
        number, labels = self.journal.received(_STORED_AT_ONCE)
        if not labels:
            return False
        kept, counts = self._settled(labels)
        self._table.insert(kept)
        self.journal.stored(number, kept, now_ns, counts)
        return True

    def _settled(self, labels: Sequence[Label]) -> tuple[list[Label], dict[tuple[str, ...], float]]:
        """Return the labels that hold, and the counts of what became of all."""
        stored = self._table.holding({label.subject for label in labels})
        held = {subject: Held(each.label, each.labelled_at_ns, each.received_at_ns) for subject, each in stored.items()}
        kept: list[Label] = []
        counts: Counter[tuple[str, ...]] = Counter()
        for label in labels:
            settlement, contradicts = settle(label, held.get(label.subject))
            counts[Metric.LABELS_CONTRADICTING.metric_name,] += contradicts
            counts[Metric.LABELS_DUPLICATE.metric_name,] += settlement is Settlement.DUPLICATE
            counts[Metric.LABELS_OUTDATED.metric_name,] += settlement is Settlement.OUTDATED
            if settlement is Settlement.KEEP:
                kept.append(label)
                held[label.subject] = held_by(label)
        return kept, dict(counts)

    def _look(self, now_ns: int) -> bool:
        due = self.journal.due(now_ns, _LOOKED_FOR_AT_ONCE)
        if not due:
            return False
        exchanges = _by_subject(self._table.exchanges({each.label.subject for each in due}))
        look = _Look(self._name, self._decode, now_ns)
        for each in due:
            found = exchanges.get(each.label.subject._replace(row=0), [])
            if found:
                look.join(each, found, self._timing(each, found[0]))
                if found[0].route in self._shadowed and now_ns - found[0].started_at_ns < _SHADOWS_NS:
                    look.again.append(SecondLook(each.label, frozenset(exchange.arm for exchange in found)))
            else:
                self._wait_on(each, look, now_ns)
        met, corrected = self._told_apart(look.compared)
        self._table.insert_labelled(look.joined)
        self.journal.looked(look.finished, look.postponed, look.counts, met, corrected, {now_ns + _SHADOWS_NS: look.again})
        return len(due) == _LOOKED_FOR_AT_ONCE

    def _look_again(self, now_ns: int) -> bool:
        """Join labels with the shadows' replies that were stored after them."""
        due = self.journal.second_looks(now_ns, _LOOKED_FOR_AT_ONCE)
        if not due:
            return False
        exchanges = _by_subject(self._table.exchanges({each.label.subject for each in due.values()}))
        look = _Look(self._name, self._decode, now_ns)
        for each in due.values():
            found = exchanges.get(each.label.subject._replace(row=0), [])
            look.compare(each.label, [exchange for exchange in found if exchange.role is Role.SHADOW and exchange.arm not in each.arms])
        self._table.insert_labelled(look.joined)
        self.journal.looked_twice(due, look.counts)
        return len(due) == _LOOKED_FOR_AT_ONCE

    def _told_apart(self, served: Sequence[tuple[Waiting, Compared]]) -> tuple[list[Compared], list[Compared]]:
        """Return which of these rows have their first label, and which another one than before, as by another name of their exchange.

        Where the store has the very same label, it is from a look that a kill broke off.
        """
        before = self._table.labelled([row for _, row in served])
        corrects = [waiting.corrects or before.get(identity_of(row), stored_as(row)) != stored_as(row) for waiting, row in served]
        if any(corrects):
            self.journal.note_corrections([waiting.number for (waiting, _), each in zip(served, corrects, strict=True) if each])
        rows = [(row, each) for (_, row), each in zip(served, corrects, strict=True)]
        return [row for row, each in rows if not each], [row for row, each in rows if each]

    def _wait_on(self, waiting: Waiting, look: _Look, now_ns: int) -> None:
        """Have another look at an exchange that is not there: the longer it has been waited for, the later."""
        age_ns = now_ns - waiting.label.received_at_ns
        if age_ns > self._settings.wait * 1e9:
            look.finished.append(waiting.number)
            look.counts[Metric.LABELS_UNKNOWN.metric_name,] += 1
        else:
            look.postponed[waiting.number] = now_ns + min(max(age_ns, _FIRST_LOOK_NS), _LAST_LOOK_NS)

    def _timing(self, waiting: Waiting, exchange: Exchange) -> LabelTiming:
        if waiting.looks:
            return LabelTiming.EARLY
        return LabelTiming.LATE if waiting.label.received_at_ns - exchange.started_at_ns > self._prompt_ns else LabelTiming.PROMPT

    def _failed(self, error: str) -> None:
        if not self._error:
            _log.warning("labels wait: %s", error)
        self._error = error


class _Look:
    """What one look at the store for exchanges of labels gave."""

    def __init__(self, name: Callable[[Exchange], tuple[str, str]], decode: Callable[[Exchange], tuple[DecodeResult, DecodeResult]], now_ns: int) -> None:
        self.compared: list[tuple[Waiting, Compared]] = []
        """What was served as a prediction, for the detector of risk."""
        self.again: list[SecondLook] = []
        """Labels whose shadows may answer later."""
        self.finished: list[int] = []
        self.postponed: dict[int, int] = {}
        self.joined: list[Labelled] = []
        self.counts: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._name = name
        self._decode = decode
        self._now_ns = now_ns
        self._replies: dict[tuple[bytes, str], DecodeResult] = {}

    def join(self, waiting: Waiting, exchanges: Sequence[Exchange], timing: LabelTiming) -> None:
        """Put a label beside what these exchanges predicted."""
        self.finished.append(waiting.number)
        self.counts[Metric.LABELS_JOINED.metric_name, self._name(exchanges[0])[0], timing] += 1
        for joined in self.compare(waiting.label, exchanges):
            if joined.prediction is not None and joined.exchange.role is Role.SERVED:
                self.compared.append((waiting, self._compared(joined, joined.prediction)))

    def compare(self, label: Label, exchanges: Sequence[Exchange]) -> list[Labelled]:
        """Put a label beside what these exchanges predicted, and count how that was; return both."""
        compared = [self._joined(label, exchange) for exchange in exchanges]
        self.joined += compared
        for joined in compared:
            arm = joined.exchange.arm
            if joined.prediction is not None:
                self.counts[Metric.LABELLED_ROWS.metric_name, joined.model, arm] += 1
                self.counts[Metric.LABELLED_CORRECT.metric_name, joined.model, arm] += joined.correct
                self.counts[Metric.LABELLED_ABSOLUTE_ERROR.metric_name, joined.model, arm] += joined.absolute_error or 0.0
        return compared

    def _compared(self, joined: Labelled, predicted: str) -> Compared:
        label, exchange = joined.label, joined.exchange
        return Compared(
            model=joined.model,
            version=joined.version,
            exchange_id=exchange.exchange_id,
            row=label.subject.row,
            prediction=predicted[: MAX_TEXT_CHARACTERS + 1],  # enough to tell it from any label
            label=label.label,
            labelled_at_ns=label.labelled_at_ns,
            received_at_ns=label.received_at_ns,
            started_at_ns=exchange.started_at_ns,
            met_at_ns=self._now_ns,
        )

    def _joined(self, label: Label, exchange: Exchange) -> Labelled:
        predicted = prediction(self._reply(exchange), label.subject.row)
        model, version = self._name(exchange)
        return Labelled(
            label=label,
            exchange=exchange,
            model=model,
            version=version,
            prediction=predicted,
            correct=predicted is not None and same(predicted, label.label),
            absolute_error=None if predicted is None else absolute_error(predicted, label.label),
        )

    def _reply(self, exchange: Exchange) -> DecodeResult:
        """Return what the exchange's reply said: decoded once, however many rows have labels."""
        identity = exchange.exchange_id, exchange.arm
        if identity not in self._replies:
            self._replies[identity] = self._decode(exchange)[1]
        return self._replies[identity]


def _by_subject(exchanges: Iterable[tuple[Exchange, str]]) -> dict[Subject, list[Exchange]]:
    """Return the exchanges by every name that a label may have for them, what was served first."""
    found: defaultdict[Subject, list[Exchange]] = defaultdict(list)
    distinct = {(exchange.exchange_id, exchange.arm): (exchange, key) for exchange, key in exchanges}
    keys = {exchange.exchange_id: key for exchange, key in distinct.values() if key}
    for exchange, _ in sorted(distinct.values(), key=lambda each: each[0].role):
        key = keys.get(exchange.exchange_id, "")
        for name in (Subject(exchange.exchange_id, "", "", 0), Subject(NO_EXCHANGE, exchange.request_id, "", 0), Subject(NO_EXCHANGE, "", key, 0)):
            found[name].append(exchange)
    return found
