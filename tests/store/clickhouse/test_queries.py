from __future__ import annotations

import pytest

from records.exchange import Body, ErrorKind, Role
from records.ids import format_uuid
from records.ports import StoreUnavailableError
from store.clickhouse.queries import StoreQueries
from tests.store.clickhouse.parts import make_exchange, make_loader

BINARY = Body(b"\x00\xff\x93", 3, False, "application/octet-stream", "gzip", {"inference-header-content-length": "1"})


@pytest.fixture
def stored(tmp_path, store, client, worker):
    """Store these exchanges, in this order, and return the queries."""

    def put(*exchanges):
        for exchange in exchanges:
            worker.append(exchange)
        loader = make_loader(tmp_path, store)
        loader.step(0.0)
        loader.close()
        return StoreQueries(store)

    return put


def test_an_exchange_comes_back_as_it_was(stored):
    exchange = make_exchange(
        1, model="fraud", version="3", queue_ns=-1, total_ns=-1, error=ErrorKind.FIRST_BYTE_TIMEOUT, request=BINARY, sampling_rate=0.1, trace_id="a" * 32
    )
    queries = stored(exchange)
    assert queries.exchanges_by_id("request-1") == [exchange]


def test_the_times_of_an_event_streams_pieces_come_back(stored):
    body = Body(b"data: 1\n\n", 9, False, "text/event-stream", "", {}, (4, 9), (10, 20))
    exchange = make_exchange(1, model="fraud", response=body)
    assert stored(exchange).exchanges_by_id("request-1")[0].response == body


def test_an_exchange_is_found_by_its_id_with_all_its_arms_the_served_one_first(stored):
    served = make_exchange(1, model="fraud")
    shadow = make_exchange(1, model="fraud", role=Role.SHADOW, arm="a", exchange_id=served.exchange_id)
    queries = stored(shadow, served, make_exchange(2, model="fraud"))
    assert queries.exchanges_by_id(format_uuid(served.exchange_id)) == [served, shadow]


def test_a_request_id_may_look_like_a_uuid(stored):
    exchange = make_exchange(1, model="fraud", request_id="00000000-0000-4000-8000-000000000000")
    queries = stored(exchange)
    assert queries.exchanges_by_id(exchange.request_id) == [exchange]
    assert queries.exchanges_by_id("no such id") == []


def test_an_id_that_is_used_without_end_gives_a_bounded_answer(stored):
    queries = stored(*(make_exchange(number, request_id="same") for number in range(120)))
    assert len(queries.exchanges_by_id("same")) == 100


def test_a_store_that_cannot_be_asked_says_so(server_store, server):
    server.close()
    queries = StoreQueries(server_store)
    with pytest.raises(StoreUnavailableError):
        queries.exchanges_by_id("x")
