"""The way of a label, with the real journal and the real engine."""

import json
import socket
import time
from uuid import UUID

import pytest

from config.addresses import Endpoint
from config.settings import LabelSettings
from driftline.labelling import Labelling
from labels.journal import Journal, JournalError
from payloads.decoding import decode
from records.exchange import Body, Exchange, Role
from records.ids import format_uuid, new_exchange_id
from records.label import LabelSource
from records.metrics import Metric
from records.ports import LabelsNotKeptError, StoreUnavailableError, UnreadableLabelsError
from store.clickhouse.client import EmbeddedStore, ServerStore
from store.clickhouse.columns import StoredExchange
from store.clickhouse.inserter import EXCHANGES, Inserter
from store.clickhouse.labels import LabelTable

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def store(tmp_path):
    store = EmbeddedStore(tmp_path)
    yield store
    store.close()


@pytest.fixture
def client(store):
    with store.client() as client:
        yield client


def make_exchange(request_id, *predictions, arm="upstream", role=Role.SERVED, started_at_ns=0, exchange_id=None):
    answer = {"model_name": "m", "outputs": [{"name": "y", "shape": [len(predictions)], "datatype": "FP32", "data": predictions}]}
    content = json.dumps(answer).encode()
    return Exchange(
        exchange_id=exchange_id or new_exchange_id(),
        request_id=request_id,
        role=role,
        route="default",
        arm=arm,
        started_at_ns=started_at_ns,
        method="POST",
        path="/v2/models/m/infer",
        status=200,
        response=Body(content, len(content)),
    )


class Setting:
    """A store, a journal, and exchanges that come when the test says so."""

    def __init__(self, directory, store, client, **settings):
        self.directory, self.settings, self.client = directory, LabelSettings(**settings), client
        self.table = LabelTable(store)
        self.now_ns = 0
        self.sequence = 0
        self.start()

    def start(self):
        self.labelling = Labelling(self.directory, self.settings, self.table, lambda exchange: ("m", ""), decode, prompt_seconds=600, shadowed={"default"})

    def restart(self):
        self.labelling.close()
        self.start()

    def store_exchanges(self, *exchanges):
        rows = []
        for exchange in exchanges:
            self.sequence += 1
            rows.append(StoredExchange("w", self.sequence, exchange, "m", ""))
        Inserter(self.client).store(EXCHANGES, rows, {})

    def accept(self, *records):
        return self.labelling.accept(enumerate(records, start=1), LabelSource.API)

    def settle(self, after_ns=0):
        """Step until nothing is to be done, so much later than the last label was received."""
        self.now_ns = max(self.now_ns, _latest(self.labelling)) + after_ns
        while self.labelling.step(self.now_ns):
            pass

    def counted(self, metric):
        return sum(value for name, value in self.labelling.counters().items() if name[0] == metric.metric_name)

    def labelled(self, columns="request_id, row, prediction, label"):
        return self.client.query(f"SELECT {columns} FROM labelled FINAL ORDER BY request_id, row, arm").result_rows

    def require_conserved(self):
        status = self.labelling.status()
        ended = sum(map(self.counted, (Metric.LABELS_JOINED, Metric.LABELS_DUPLICATE, Metric.LABELS_OUTDATED, Metric.LABELS_UNKNOWN)))
        assert self.counted(Metric.LABELS_RECEIVED) == ended + status.unstored + status.waiting


def _latest(labelling):
    journal = labelling.journal
    labels = [*journal.received(10**6)[1], *(each.label for each in journal.due(2**62, 10**6))]
    return max((label.received_at_ns for label in labels), default=0)


@pytest.fixture
def setting(tmp_path, store, client):
    setting = Setting(tmp_path, store, client)
    yield setting
    setting.require_conserved()
    setting.labelling.close()


def test_a_label_meets_the_prediction_that_it_is_about(setting):
    exchange = make_exchange("r-1", 0.75)
    setting.store_exchanges(exchange, make_exchange("r-2", 0.5))
    setting.accept({"request_id": "r-1", "label": 1}, {"exchange_id": format_uuid(exchange.exchange_id), "label": 1})
    setting.settle()
    assert setting.labelled("exchange_id, prediction, label, correct, absolute_error") == [(UUID(bytes=exchange.exchange_id), "0.75", "1", False, 0.25)]
    assert setting.counted(Metric.LABELLED_ABSOLUTE_ERROR) == 0.5


def test_every_row_of_a_request_has_its_own_label(setting):
    setting.store_exchanges(make_exchange("r-1", 1, 0, 1))
    setting.accept({"request_id": "r-1", "label": [1, 1]}, {"request_id": "r-1", "row": 2, "label": 1})
    setting.settle()
    assert setting.labelled() == [("r-1", 0, "1", "1"), ("r-1", 1, "0", "1"), ("r-1", 2, "1", "1")]
    assert (setting.counted(Metric.LABELLED_ROWS), setting.counted(Metric.LABELLED_CORRECT)) == (3, 2)


def test_a_label_is_about_every_arm_s_prediction(setting):
    served = make_exchange("r-1", 1)
    setting.store_exchanges(served, make_exchange("r-1", 0, arm="shadow-1", role=Role.SHADOW, exchange_id=served.exchange_id))
    setting.accept({"request_id": "r-1", "label": 1})
    setting.settle()
    assert setting.labelled("arm, correct") == [("shadow-1", False), ("upstream", True)]
    assert setting.counted(Metric.LABELS_JOINED) == 1


def test_an_early_label_waits_for_its_exchange(setting):
    setting.accept({"request_id": "r-1", "label": 1})
    setting.settle()
    assert (setting.labelled(), setting.labelling.status().waiting) == ([], 1)
    setting.store_exchanges(make_exchange("r-1", 1))
    setting.restart()
    setting.settle(after_ns=HOUR_NS)
    assert setting.labelled() == [("r-1", 0, "1", "1")]
    assert setting.labelling.counters()[Metric.LABELS_JOINED.metric_name, "m", "early"] == 1


def test_a_label_that_waited_in_vain_is_counted_and_stays_in_the_store(setting):
    setting.accept({"request_id": "nobody", "label": 1})
    setting.settle()
    setting.settle(after_ns=25 * HOUR_NS)
    assert setting.counted(Metric.LABELS_UNKNOWN) == 1
    assert setting.client.query("SELECT request_id, label FROM labels").result_rows == [("nobody", "1")]


def test_a_batch_is_bounded_in_labels_and_told_only_its_first_errors(setting):
    with pytest.raises(UnreadableLabelsError, match="200,000"):
        setting.accept(*({"key": str(number), "label": [1] * 50_000} for number in range(5)))
    receipt = setting.accept(*[7] * 1_000)
    assert (receipt.accepted, receipt.refused, len(receipt.errors)) == (0, 1_000, 100)


def test_prompt_and_late_labels_are_told_apart(setting):
    setting.accept({"request_id": "r-1", "label": 1}, {"request_id": "r-2", "label": 1})
    received_at_ns = _latest(setting.labelling)
    setting.store_exchanges(make_exchange("r-1", 1, started_at_ns=received_at_ns - HOUR_NS), make_exchange("r-2", 1, started_at_ns=received_at_ns))
    setting.settle()
    counts = setting.labelling.counters()
    assert [counts[Metric.LABELS_JOINED.metric_name, "m", timing] for timing in ("late", "prompt")] == [1, 1]


def test_the_same_label_again_changes_nothing(setting):
    setting.store_exchanges(make_exchange("r-1", 1))
    for label in (1, 1.0, "1"):
        setting.accept({"request_id": "r-1", "label": label})
        setting.settle()
    assert setting.counted(Metric.LABELS_DUPLICATE) == 2
    assert setting.client.query("SELECT count() FROM labels").result_rows == [(1,)]
    assert setting.counted(Metric.LABELLED_ROWS) == 1


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("newest_first", [True, False])
def test_of_contradicting_labels_the_latest_holds_in_whatever_order_they_come(setting, together, newest_first):
    setting.store_exchanges(make_exchange("r-1", 1))
    records = [{"request_id": "r-1", "label": label, "labelled_at": time} for label, time in ((1, 1_700_000_000), (0, 1_700_000_100))]
    for batch in [records[::-1] if newest_first else records] if together else [[each] for each in (records[::-1] if newest_first else records)]:
        setting.accept(*batch)
        setting.settle()
    assert setting.labelled() == [("r-1", 0, "1", "0")]
    assert setting.counted(Metric.LABELS_CONTRADICTING) == 1


def test_what_cannot_be_predicted_is_joined_all_the_same(setting):
    setting.store_exchanges(make_exchange("r-1"))
    setting.accept({"request_id": "r-1", "label": 1})
    setting.settle()
    assert setting.labelled() == [("r-1", 0, None, "1")]
    assert setting.counted(Metric.LABELLED_ROWS) == 0


def test_labels_are_accepted_while_the_store_is_down_until_there_is_no_room(tmp_path, store, client):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = "http://{}:{}".format(*nobody.getsockname())
    setting = Setting(tmp_path, ServerStore(Endpoint.parse(url)), client, max_unstored=2)
    setting.accept({"request_id": "r-1", "label": 1}, {"request_id": "r-2", "label": 1})
    with pytest.raises(StoreUnavailableError):
        setting.labelling.step(0)
    with pytest.raises(LabelsNotKeptError, match="max_unstored"):
        setting.accept({"request_id": "r-3", "label": 1})
    setting.table = LabelTable(store)
    setting.restart()
    setting.settle()
    assert setting.client.query("SELECT request_id FROM labels ORDER BY request_id").result_rows == [("r-1",), ("r-2",)]
    setting.require_conserved()
    setting.labelling.close()


@pytest.mark.parametrize("step", ["stored", "looked"])
def test_a_death_between_the_store_and_the_journal_counts_nothing_twice(setting, monkeypatch, step):
    setting.store_exchanges(make_exchange("r-1", 1), make_exchange("r-2", 0))
    setting.accept({"request_id": "r-1", "label": 1}, {"request_id": "r-2", "label": 1})

    def die(*_):
        raise JournalError("killed")

    monkeypatch.setattr(Journal, step, die)
    with pytest.raises(JournalError):
        setting.settle()
    monkeypatch.undo()
    setting.restart()
    setting.settle()
    assert setting.labelled() == [("r-1", 0, "1", "1"), ("r-2", 0, "0", "1")]
    assert (setting.counted(Metric.LABELS_JOINED), setting.counted(Metric.LABELLED_ROWS), setting.counted(Metric.LABELLED_CORRECT)) == (2, 2, 1)
    assert setting.client.query("SELECT count() FROM labels FINAL").result_rows == [(2,)]


def test_labels_on_their_way_to_what_is_forgotten_go_by_whatever_name(setting):
    exchange_id = new_exchange_id()
    setting.accept(
        {"request_id": "r-1", "label": 1}, {"exchange_id": format_uuid(exchange_id), "label": 2}, {"key": "k-1", "label": 3}, {"request_id": "r-2", "label": 4}
    )
    assert setting.labelling.forget({"exchange_id": [format_uuid(exchange_id)], "request_id": ["r-1"], "key": ["k-1"]}) == 3
    assert setting.labelling.forget({"request_id": ["r-1"]}) == 0
    setting.settle()
    assert setting.labelling.status().waiting == 1
    setting.require_conserved()


def handed_on(setting):
    """Return what the detector of risk would take: prediction and label, in order."""
    return [(row.prediction, row.label) for row in setting.labelling.journal.oldest("m", 100)[1]]


def test_what_was_served_is_handed_to_the_detector_of_risk_with_its_label(setting):
    served = make_exchange("r-1", 1, 0)
    shadow = make_exchange("r-1", 0, 0, arm="shadow-1", role=Role.SHADOW, exchange_id=served.exchange_id)
    setting.store_exchanges(served, shadow, make_exchange("r-2"))
    setting.accept({"request_id": "r-1", "label": [1, 1]}, {"request_id": "r-2", "label": 1})
    setting.settle()
    assert handed_on(setting) == [("1", "1"), ("0", "1")]


@pytest.mark.parametrize("together", [True, False])
def test_a_row_is_handed_on_once_by_whatever_names_it_was_labelled(setting, together):
    exchange = make_exchange("r-1", 1, started_at_ns=time.time_ns())
    setting.store_exchanges(exchange)
    records = [{"request_id": "r-1", "label": 1, "labelled_at": 5}, {"exchange_id": format_uuid(exchange.exchange_id), "label": 0, "labelled_at": 9}]
    for batch in [records] if together else [[each] for each in records]:
        setting.accept(*batch)
        setting.settle()
    assert handed_on(setting) == [("1", "0")]


def test_a_label_that_corrects_one_that_was_taken_is_not_handed_on_again(setting):
    exchange = make_exchange("r-1", 1)
    setting.store_exchanges(exchange)
    setting.accept({"request_id": "r-1", "label": 1, "labelled_at": 5})
    setting.settle()
    setting.labelling.journal.take("m", *_taken(setting))
    setting.accept({"request_id": "r-1", "label": 0, "labelled_at": 9}, {"exchange_id": format_uuid(exchange.exchange_id), "label": 0, "labelled_at": 10})
    setting.settle()
    assert handed_on(setting) == []
    assert setting.labelled() == [("r-1", 0, "1", "0")]


def _taken(setting):
    return setting.labelling.journal.oldest("m", 100)[0], b""


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_death_after_the_store_has_a_correction_hands_it_on_no_second_time(setting, monkeypatch, is_taken):
    """The store then has the correction, and no trace of the label before it."""
    setting.store_exchanges(make_exchange("r-1", 1))
    setting.accept({"request_id": "r-1", "label": 1, "labelled_at": 5})
    setting.settle()
    if is_taken:
        setting.labelling.journal.take("m", *_taken(setting))
    setting.accept({"request_id": "r-1", "label": 0, "labelled_at": 9})
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "looked", lambda *_: (_ for _ in ()).throw(JournalError("killed")))
        with pytest.raises(JournalError):
            setting.settle()
    setting.restart()
    setting.settle()
    assert handed_on(setting) == ([] if is_taken else [("1", "0")])


def test_a_death_after_the_store_has_a_first_label_loses_it_to_no_detector(setting, monkeypatch):
    setting.store_exchanges(make_exchange("r-1", 1))
    setting.accept({"request_id": "r-1", "label": 1})
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "looked", lambda *_: (_ for _ in ()).throw(JournalError("killed")))
        with pytest.raises(JournalError):
            setting.settle()
    setting.restart()
    setting.settle()
    assert handed_on(setting) == [("1", "1")]


def test_a_shadow_that_answers_after_the_label_is_joined_some_minutes_later_and_counted_once(setting):
    served = make_exchange("r-1", 1, started_at_ns=time.time_ns())
    setting.store_exchanges(served)
    setting.accept({"request_id": "r-1", "label": 1})
    setting.settle()
    setting.store_exchanges(make_exchange("r-1", 0, arm="shadow-1", role=Role.SHADOW, exchange_id=served.exchange_id, started_at_ns=served.started_at_ns))
    setting.restart()
    setting.settle(after_ns=HOUR_NS // 60)
    assert setting.labelled("arm, correct") == [("upstream", True)]
    for _ in range(2):
        setting.settle(after_ns=HOUR_NS)
        assert setting.labelled("arm, correct") == [("shadow-1", False), ("upstream", True)]
        assert (setting.counted(Metric.LABELLED_ROWS), setting.counted(Metric.LABELS_JOINED)) == (2, 1)
    assert handed_on(setting) == [("1", "1")]


def test_a_shadow_that_answered_before_the_label_is_counted_once(setting):
    served = make_exchange("r-1", 1, started_at_ns=time.time_ns())
    setting.store_exchanges(served, make_exchange("r-1", 0, arm="shadow-1", role=Role.SHADOW, exchange_id=served.exchange_id))
    setting.accept({"request_id": "r-1", "label": 1})
    setting.settle()
    setting.settle(after_ns=HOUR_NS)
    assert setting.counted(Metric.LABELLED_ROWS) == 2


def test_a_death_in_a_second_look_counts_nothing_twice(setting, monkeypatch):
    served = make_exchange("r-1", 1, started_at_ns=time.time_ns())
    setting.store_exchanges(served)
    setting.accept({"request_id": "r-1", "label": 1})
    setting.settle()
    setting.store_exchanges(make_exchange("r-1", 0, arm="shadow-1", role=Role.SHADOW, exchange_id=served.exchange_id))
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "looked_twice", lambda *_: (_ for _ in ()).throw(JournalError("killed")))
        with pytest.raises(JournalError):
            setting.settle(after_ns=HOUR_NS)
    setting.restart()
    setting.settle(after_ns=HOUR_NS)
    assert setting.counted(Metric.LABELLED_ROWS) == 2
    assert setting.labelled("arm, correct") == [("shadow-1", False), ("upstream", True)]


def test_second_looks_at_what_is_forgotten_are_not_made(setting):
    setting.store_exchanges(make_exchange("r-1", 1, started_at_ns=time.time_ns()))
    setting.accept({"request_id": "r-1", "label": 1})
    setting.settle()
    setting.labelling.forget({"request_id": ["r-1"]})
    assert setting.labelling.journal.second_looks(2**62, 10) == {}
