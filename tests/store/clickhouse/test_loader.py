from __future__ import annotations

import os
import resource
import uuid

import pytest

from records.exchange import Body, ErrorKind, Role
from store.clickhouse.loader import LAST_RETRY_SECONDS, POLL_SECONDS, Backoff
from tests.store.clickhouse.parts import STARTED_AT_NS, Worker, make_exchange, make_loader, positions


@pytest.fixture
def loader(tmp_path, store, client, worker):
    loader = make_loader(tmp_path, store)
    yield loader
    loader.close()


def test_every_field_of_an_exchange_is_stored_as_it_was(loader, client, worker):
    request = Body(b"\x00\xff\x93raw", 70_000, True, "application/octet-stream", "gzip", {"inference-header-content-length": "12"})
    exchange = make_exchange(
        7, role=Role.SHADOW, arm="candidate", queue_ns=-1, total_ns=-1, status=502, error=ErrorKind.UPSTREAM_CLOSED, path="/é?a=1\n", request=request
    )
    worker.append(exchange)
    assert loader.step(0.0) == 0.0
    row = client.query("SELECT * FROM exchanges", column_formats={"request_body": "bytes", "response_body": "bytes"}).first_item
    assert row["exchange_id"] == uuid.UUID(bytes=exchange.exchange_id)
    assert (row["writer"], row["sequence"], row["role"], row["arm"], row["model"]) == ("w1", 1, "shadow", "candidate", "fraud")
    assert (row["queue_ns"], row["connect_ns"], row["first_byte_ns"], row["total_ns"]) == (None, 0, 2_000, None)
    assert (row["status"], row["error"], row["path"]) == (502, "upstream_closed", "/é?a=1\n")
    assert (row["request_body"], row["request_size_bytes"], row["request_truncated"]) == (request.content, 70_000, True)
    assert (row["request_content_type"], row["request_content_encoding"]) == ("application/octet-stream", "gzip")
    assert (row["request_fields"], row["response_fields"]) == (request.fields, {})
    assert client.command("SELECT toUnixTimestamp64Nano(started_at) FROM exchanges") == STARTED_AT_NS + 7_000_000


def test_outcomes_are_stored_with_the_position_of_their_record(loader, client, worker):
    worker.fill(3)
    worker.amend(2)
    loader.step(0.0)
    assert client.query("SELECT sequence, error, total_ns FROM outcomes").result_rows == [(2, "client_left", 1_000_002)]
    assert loader.state.stored == {"w1": 3}


def test_a_batch_waits_until_its_oldest_frame_has_waited_long_enough(tmp_path, store, client, worker):
    loader = make_loader(tmp_path, store, wait_seconds=1.0)
    worker.fill(2)
    assert loader.step(100.0) == POLL_SECONDS
    worker.fill(1)
    assert loader.step(100.95) == pytest.approx(0.05)
    assert loader.state.stored == {}
    assert loader.step(101.0) == 0.0
    assert loader.state.stored == {"w1": 3}
    loader.close()


def test_a_full_batch_does_not_wait(tmp_path, store, client, worker):
    loader = make_loader(tmp_path, store, rows=4, wait_seconds=60.0)
    worker.fill(9)
    assert [loader.step(0.0), loader.step(0.0)] == [0.0, 0.0]
    assert loader.step(0.0) == POLL_SECONDS
    assert positions(client) == [*range(1, 9)]
    loader.close()


def test_a_batch_is_bounded_in_bytes(tmp_path, store, client, worker):
    loader = make_loader(tmp_path, store, size_bytes=3_000, wait_seconds=60.0)
    for number in range(10):
        worker.append(make_exchange(number, request=Body(bytes(1_000), 1_000)))
    loader.step(0.0)
    assert 0 < loader.state.stored["w1"] < 5
    loader.close()


def test_draining_stores_what_is_there_and_says_whether_it_got_all(tmp_path, store, client, worker):
    loader = make_loader(tmp_path, store, rows=4, wait_seconds=60.0)
    worker.fill(10)
    assert not loader.drain(5.0, clock=iter([0.0, 1.0, 6.0]).__next__, wait=lambda _: None)
    assert positions(client) == [*range(1, 9)]
    assert loader.drain(5.0, clock=lambda: 0.0, wait=lambda _: None)
    assert positions(client) == [*range(1, 11)]
    loader.close()


def test_an_idle_loader_writes_nothing(tmp_path, loader, worker):
    worker.fill(1)
    loader.step(0.0)
    written = (tmp_path / "loader.state").stat().st_mtime_ns
    assert loader.step(1.0) == POLL_SECONDS
    assert (tmp_path / "loader.state").stat().st_mtime_ns == written


def test_writers_share_a_batch_and_are_counted_apart(tmp_path, loader, client, worker):
    other = Worker(tmp_path / "spool", "w2")
    worker.fill(3)
    other.fill(5)
    while loader.step(0.0) == 0.0:
        pass
    assert (positions(client, writer="w1"), positions(client, writer="w2")) == ([1, 2, 3], [1, 2, 3, 4, 5])
    assert loader.state.stored == {"w1": 3, "w2": 5}
    other.close()


def test_a_new_loader_goes_on_where_the_last_one_stopped(tmp_path, store, client, worker):
    worker.fill(3)
    first = make_loader(tmp_path, store)
    first.step(0.0)
    first.close()
    worker.fill(2)
    second = make_loader(tmp_path, store)
    second.step(0.0)
    assert positions(client) == [1, 2, 3, 4, 5]
    assert second.state.stored == {"w1": 5}
    (model,) = second.state.models
    assert (model.of.model, model.codes, sum(model.durations)) == ("fraud", {"200": 5}, 5)
    second.close()


def test_a_record_that_cannot_be_decoded_is_set_aside_and_counted(loader, client, worker):
    worker.fill(2)
    worker.append_junk()
    worker.fill(2)
    loader.step(0.0)
    assert positions(client) == [1, 2, 4, 5]
    assert (loader.state.stored, loader.state.dropped) == ({"w1": 4}, {"w1": {"poison": 1}})
    (letter,) = client.query("SELECT sequence, kind, payload, reason FROM dead_letters FINAL", column_formats={"payload": "bytes"}).result_rows
    assert letter[:3] == (3, "record", b"\x93\x01\x02\x03")
    assert "Expected" in letter[3]
    assert loader.status.refusal == letter[3]


@pytest.mark.parametrize(
    "poison",
    [make_exchange(status=70_000), make_exchange(exchange_id=b"short"), make_exchange(request=Body(b"", -1))],
    ids=["status", "exchange_id", "size_bytes"],
)
def test_a_row_that_has_no_place_in_the_table_is_set_aside_and_never_its_batch(poison, loader, client, worker):
    worker.fill(20)
    worker.append(poison)
    worker.fill(20)
    loader.step(0.0)
    assert positions(client) == [*range(1, 21), *range(22, 42)]
    assert (loader.state.stored, loader.state.dropped) == ({"w1": 40}, {"w1": {"poison": 1}})
    assert [sum(model.codes.values()) for model in loader.state.models] == [40], "what is not stored is not a model's either"
    assert positions(client, "dead_letters") == [21]


def test_rows_that_the_engine_refuses_are_set_aside_with_its_reason(loader, client, worker):
    client.command("ALTER TABLE exchanges ADD CONSTRAINT short CHECK length(path) < 100")
    for number in range(8):
        worker.append(make_exchange(number, path="/" * 200 if number in {2, 5} else "/"))
    loader.step(0.0)
    assert positions(client) == [1, 2, 4, 5, 7, 8]
    assert loader.state.dropped == {"w1": {"poison": 2}}
    assert "short" in client.query("SELECT reason FROM dead_letters").first_row[0]


def test_an_embedded_store_whose_disk_takes_no_more_is_waited_for(loader, client, worker):
    for number in range(60):
        body = os.urandom(20_000)
        worker.append(make_exchange(number, request=Body(body, len(body))))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        wait = loader.step(0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (loader.status.up, positions(client)) == (False, [])
    assert "File too large" in loader.status.error
    loader.step(wait)
    assert positions(client) == [*range(1, 61)]
    assert (loader.state.stored, loader.state.dropped) == ({"w1": 60}, {"w1": {}})


def test_damage_in_the_spool_is_counted_as_corrupt_without_asking_the_store(tmp_path, store, worker):
    worker.fill(3)
    worker.close()
    segment = next((tmp_path / "spool" / "w1").glob("*.segment"))
    content = bytearray(segment.read_bytes())
    content[64:] = bytes(len(content) - 64)
    segment.write_bytes(content)
    loader = make_loader(tmp_path, store)
    assert loader.drain(1.0, clock=lambda: 0.0, wait=lambda _: None)
    assert (loader.state.stored, loader.state.dropped) == ({"w1": 0}, {"w1": {"corrupt": 3}})
    assert not (tmp_path / "data" / "store").exists()
    loader.close()


def test_waits_double_up_to_a_bound_and_are_spread():
    least, most = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    assert [most.next_seconds() for _ in range(12)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]
    assert [least.next_seconds() for _ in range(3)] == [0.05, 0.1, 0.2]
    most.reset()
    assert most.next_seconds() == 0.1
    assert LAST_RETRY_SECONDS == 30.0
