"""The detectors' way through the spool, and what a restart finds."""

import msgspec

import driftline.watching
from config.addresses import Url
from config.settings import DriftSettings, RouteSettings
from driftline.decoding import Decoding
from driftline.watching import Watching
from payloads.decoding import decode
from records.exchange import Body, Exchange, Role
from records.metrics import Metric
from records.payload import Format
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter, create_writer_directory

SEGMENT_BYTES = 256 * 1024
EXCHANGE = Exchange(
    exchange_id=bytes(16),
    request_id="r",
    role=Role.SERVED,
    route="default",
    arm="upstream",
    method="GET",
    path="/",
    request=Body(bytes(60_000)),
    started_at_ns=1,
)


def watching(spool, taken):
    watch = Watching(spool, DriftSettings(), lambda _: ("m", ""), decode, {}, lambda _: None, shadowed=set(), max_lag_bytes=SEGMENT_BYTES)
    watch._take = taken.append
    return watch


def test_a_record_that_was_skipped_is_counted_once_whatever_dies_after(tmp_path, monkeypatch):
    monkeypatch.setattr(driftline.watching, "_FRAMES_PER_READ", 2)
    monkeypatch.setattr(driftline.watching, "_SAVE_SECONDS", 0.0)
    directory = create_writer_directory(tmp_path, 0)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=SEGMENT_BYTES, max_bytes=100 * SEGMENT_BYTES)
    appended = 0
    while appended < 40:
        appended += writer.append(EXCHANGE) > 0  # 0 while the next segment is being made
    taken = []
    for steps in (1, 2, 40):  # three processes; the first two are killed
        watch = watching(tmp_path, taken)
        for _ in range(steps):
            watch.step()
        watch.close()
    writer.close()
    ledger.close()
    assert watch.saved.skipped > 10
    assert len(taken) + watch.saved.skipped == appended


def test_a_routes_bodies_are_read_in_the_format_that_it_sets(tmp_path):
    directory = create_writer_directory(tmp_path, 0)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=SEGMENT_BYTES, max_bytes=100 * SEGMENT_BYTES)
    for path in ("/ask", "/fraud/update"):
        writer.append(msgspec.structs.replace(EXCHANGE, path=path, status=200, request=Body(b'{"user": {"age": 41}}', 21), response=Body(b"0.5", 3)))
    set_by = (RouteSettings(upstream=(Url.parse("http://127.0.0.1:9000"),), format=Format.JSON, features="user"),)
    known, unknown = (
        Watching(tmp_path, DriftSettings(), lambda _: ("m", ""), Decoding(routes), {}, lambda _: None, shadowed=set(), max_lag_bytes=SEGMENT_BYTES)
        for routes in (set_by, ())
    )
    for watch in (known, unknown):
        watch.step()
        watch.close()
    writer.close()
    ledger.close()
    assert [model.baseline_rows for model in known.models] == [2]
    assert not any(known.counters().values())
    assert unknown.models == ()
    assert unknown.counters()[Metric.UNDECODABLE.metric_name, "", "unknown_format"] == 2  # of one exchange: the other one is feedback
