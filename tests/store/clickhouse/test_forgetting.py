"""Nothing of what is to be forgotten is found afterwards, and everything else is."""

import time
from uuid import UUID

import msgspec
import pytest

from records.exchange import Body, Exchange, Role
from records.forgetting import Forgettable
from store.clickhouse.columns import StoredExchange, exchange_columns, insert_columns
from store.clickhouse.forgetting import ON_THEIR_WAY, Forgetter
from store.clickhouse.inserter import DeadLetter, Inserter
from store.clickhouse.schema import TABLES
from tests.store.clickhouse.parts import make_exchange

HASH, OTHER_HASH = "k1:" + "a" * 32, "k1:" + "b" * 32
SECRET = b"the secret of one"


def uuid(exchange: Exchange) -> str:
    return str(UUID(bytes=exchange.exchange_id))


def keep(client, number: int, exchange: Exchange) -> None:
    """Store an exchange of two arms, and a row of all that can hang on one."""
    shadow = make_exchange(number, exchange_id=exchange.exchange_id, role=Role.SHADOW, arm="candidate", request_id=exchange.request_id)
    key = f"key-{number}"
    columns = exchange_columns([StoredExchange("w1", 2 * number + place, each, "fraud", "", label_key=key) for place, each in enumerate((exchange, shadow))])
    insert_columns(client, "exchanges", columns)
    client.command(f"INSERT INTO outcomes (writer, sequence, exchange_id) VALUES ('w1', {number}, '{uuid(exchange)}')")
    client.command(f"INSERT INTO features (model, exchange_id, started_at) VALUES ('fraud', '{uuid(exchange)}', now())")
    client.command(f"INSERT INTO labelled (model, exchange_id, request_id, started_at) VALUES ('fraud', '{uuid(exchange)}', '{exchange.request_id}', now())")
    client.command(
        f"INSERT INTO comparisons (model, shadow, window_index, disagreements) VALUES ('fraud', 'candidate', {number}, [('{uuid(exchange)}', 0.5, 'a → b')])"
    )
    for row, names in enumerate([f"'{uuid(exchange)}', '', ''", f"'{UUID(int=0)}', '{exchange.request_id}', ''", f"'{UUID(int=0)}', '', '{key}'"]):
        client.command(f"INSERT INTO labels (exchange_id, request_id, key, row, label) VALUES ({names}, {row}, '1')")


def set_aside(client, sequence: int, exchange: Exchange) -> None:
    Inserter(client).set_aside([DeadLetter("w9", sequence, "record", msgspec.msgpack.encode(exchange), "poison")])


ONE = make_exchange(1, subjects=(HASH,), request=Body(SECRET, len(SECRET)))
TWO = make_exchange(2, subjects=(HASH, OTHER_HASH), request=Body(SECRET, len(SECRET)))
THREE = make_exchange(3, subjects=(OTHER_HASH,))


@pytest.fixture
def full(client):
    for number, exchange in enumerate((ONE, TWO, THREE), start=1):
        keep(client, number, exchange)
        set_aside(client, number, exchange)
    return client


def rows(client) -> dict[str, int]:
    return {
        table: int(client.command(f"SELECT count() FROM {table}"))
        for table in ("exchanges", "outcomes", "features", "labelled", "labels", "comparisons", "dead_letters")
    }


ALL = {"exchanges": 6, "outcomes": 3, "features": 3, "labelled": 3, "labels": 9, "comparisons": 3, "dead_letters": 3}
OF_ONE = {"exchanges": 2, "outcomes": 1, "features": 1, "labelled": 1, "labels": 3, "comparisons": 1, "dead_letters": 1}


def test_the_store_is_as_the_other_tests_take_it(full) -> None:
    assert rows(full) == ALL


@pytest.mark.parametrize("what", [Forgettable(exchange_id=uuid(ONE)), Forgettable(request_id="request-1")])
def test_everything_about_one_exchange_is_deleted_and_nothing_else(store, full, what: Forgettable) -> None:
    forgetter = Forgetter(store)
    assert forgetter.forget(what) == OF_ONE
    assert rows(full) == {table: count - OF_ONE[table] for table, count in ALL.items()}
    assert int(full.command(f"SELECT count() FROM exchanges WHERE exchange_id = '{uuid(ONE)}'")) == 0
    assert forgetter.forget(what) == {}, "twice is the same as once"


def test_everything_about_a_subject_is_deleted(store, full) -> None:
    assert Forgetter(store).forget(Forgettable(subjects=("k0:" + "c" * 32, HASH))) == {table: 2 * count for table, count in OF_ONE.items()}
    assert rows(full) == OF_ONE
    assert full.query("SELECT DISTINCT request_id FROM exchanges").result_rows == [("request-3",)]


def test_labels_on_their_way_are_asked_for_by_every_name_of_what_is_forgotten(store, full) -> None:
    asked = []
    forgetter = Forgetter(store, lambda names: asked.append(names) or 3)
    assert forgetter.forget(Forgettable(request_id="request-1"))[ON_THEIR_WAY] == 6
    assert asked == [{"request_id": ["request-1"]}, {"exchange_id": [uuid(ONE)], "request_id": ["request-1"], "key": ["key-1"]}]


def test_more_exchanges_than_are_deleted_at_once_are_all_deleted(store, full, monkeypatch) -> None:
    monkeypatch.setattr("store.clickhouse.forgetting._EXCHANGES_AT_ONCE", 1)
    assert Forgetter(store).forget(Forgettable(subjects=(HASH,))) == {table: 2 * count for table, count in OF_ONE.items()}


def test_labels_of_a_request_that_was_never_stored_are_deleted(store, client) -> None:
    client.command("INSERT INTO labels (exchange_id, request_id, key, label) VALUES (toUUID('00000000-0000-0000-0000-000000000000'), 'gone', '', '1')")
    assert Forgetter(store).forget(Forgettable(request_id="gone")) == {"labels": 1}


def test_a_dead_letter_that_only_looks_alike_stays_and_one_that_cannot_be_read_goes(store, client) -> None:
    set_aside(client, 1, make_exchange(1, request_id="request-11"))
    Inserter(client).set_aside([DeadLetter("w9", 2, "record", b"junk request-1 junk", "undecodable")])
    assert Forgetter(store).forget(Forgettable(request_id="request-1")) == {"dead_letters": 1}
    assert client.query("SELECT sequence FROM dead_letters").result_rows == [(1,)]


def test_a_name_with_quotes_is_only_a_name(store, full) -> None:
    assert Forgetter(store).forget(Forgettable(request_id="' OR 1 = 1 --")) == {}
    assert Forgetter(store).forget(Forgettable(subjects=("'] OR 1 = 1 --", "%(x)s"))) == {}
    assert rows(full) == ALL


def test_a_server_forgets_likewise(server_store) -> None:
    client = server_store.client()
    for number, exchange in enumerate((ONE, THREE), start=1):
        keep(client, number, exchange)
        set_aside(client, number, exchange)
    forgetter = Forgetter(server_store)
    assert forgetter.forget(Forgettable(subjects=(HASH,))) == OF_ONE
    forgetter.purge()
    assert rows(client) == OF_ONE
    server_store.close()


def test_a_purge_leaves_no_part_with_deleted_rows(store, full) -> None:
    forgetter = Forgetter(store)
    forgetter.forget(Forgettable(subjects=(HASH,)))
    assert parts_with_deleted_rows(full)
    forgetter.purge()
    deadline = time.monotonic() + 30
    while parts_with_deleted_rows(full):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def parts_with_deleted_rows(client) -> int:
    return int(client.command("SELECT count() FROM system.parts WHERE database = currentDatabase() AND has_lightweight_delete AND active"))


def test_every_table_is_one_that_forgets_or_one_of_whom_nobody_is_in() -> None:
    of_nobody = {"windows", "verdicts", "alerts", "baselines", "audit", "schema_version"}
    assert TABLES - of_nobody == set(ALL)
