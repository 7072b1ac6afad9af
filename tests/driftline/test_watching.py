"""The detectors' way through the spool, and what a restart finds."""

import json
import time
from contextlib import closing
from itertools import pairwise

import msgspec
import numpy as np

import driftline.model_watch
import driftline.watching
from config.addresses import Url
from config.settings import DriftSettings, RouteSettings
from detectors.baseline import build_baseline
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
    watch = Watching(spool, DriftSettings(), lambda *_: ("m", ""), decode, {}, lambda _: None, tolerances={}, max_lag_bytes=SEGMENT_BYTES)
    watch._take = taken.append
    return watch


def test_a_record_that_was_skipped_is_counted_once_whatever_dies_after(tmp_path, monkeypatch):
    monkeypatch.setattr(driftline.watching, "_FRAMES_PER_READ", 2)
    monkeypatch.setattr(driftline.watching, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(driftline.watching, "_SAVE_SHARE", 1e9)
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
        Watching(tmp_path, DriftSettings(), lambda *_: ("m", ""), Decoding(routes), {}, lambda _: None, tolerances={}, max_lag_bytes=SEGMENT_BYTES)
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


def test_odd_data_that_clients_send_are_judged_in_words(tmp_path):
    rng = np.random.default_rng(1)
    columns = {"age": rng.normal(50, 10, size=500), "city": np.array(["Bonn", "Ulm"] * 250, dtype=object)}
    baseline = build_baseline(columns, model="m", source="t.csv", created_at_ns=1)
    rows = [{"age": "n/a" if index % 2 else 50.0 + index % 30, "height": 1e400 if index % 3 else None} for index in range(300)]
    directory = create_writer_directory(tmp_path, 0)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=SEGMENT_BYTES, max_bytes=100 * SEGMENT_BYTES)
    bodies = [json.dumps({"dataframe_records": rows[first : first + 50]}).encode() for first in range(0, 300, 50)]
    for number, body in enumerate([b"", b"{}", b"\xff", *bodies], start=1):
        request = Body(body, len(body), False, "application/json")
        writer.append(msgspec.structs.replace(EXCHANGE, path="/invocations", status=200, started_at_ns=number, request=request))
    results = []
    settings = DriftSettings(window_rows=300)
    watch = Watching(tmp_path, settings, lambda *_: ("m", ""), decode, {"m": baseline}, results.append, tolerances={}, max_lag_bytes=SEGMENT_BYTES)
    watch.step()
    watch.close()
    writer.close()
    ledger.close()
    found = {(finding.feature, finding.problem): finding.text for finding in results[0].quality}
    assert found.keys() == {("age", "other_type"), ("city", "not_sent"), ("", "unknown"), ("", "duplicates")}
    assert "look for a client or a parser that changed" in found["age", "other_type"]
    assert watch.models[0].last_verdict.quality == results[0].quality


def append(writer, count):
    body = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [0.5]}]}'
    exchange = msgspec.structs.replace(EXCHANGE, path="/v2/models/m/infer", status=200, request=Body(body, len(body)))
    for _ in range(count):
        assert writer.append(exchange)


def test_rows_wait_for_others_of_their_model_and_are_all_looked_at_before_the_cursors_are_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr(driftline.watching, "_ROWS_WAIT_SECONDS", 3_600.0)
    monkeypatch.setattr(driftline.watching, "_SAVE_SECONDS", 3_600.0)
    monkeypatch.setattr(driftline.model_watch, "ROWS_AT_ONCE", 5)
    directory = create_writer_directory(tmp_path, 0)
    with closing(LedgerWriter(directory)) as ledger:
        writer = SpoolWriter(directory, ledger, segment_bytes=SEGMENT_BYTES, max_bytes=100 * SEGMENT_BYTES)
        watch = Watching(tmp_path, DriftSettings(), lambda *_: ("m", ""), decode, {}, lambda _: None, tolerances={}, max_lag_bytes=SEGMENT_BYTES)
        looked_at = []
        for count in (0, 4, 4):
            append(writer, count)
            watch.step()
            looked_at.append(watch.features.waiting)
        assert looked_at == [0, 0, 5]
        watch.save()
        assert watch.features.waiting == 8
        assert [model.baseline_rows for model in watch.models] == [8]
        writer.close()


def test_writing_the_state_down_takes_a_small_share_of_the_time_however_long_it_takes(tmp_path, monkeypatch):
    saves = []
    monkeypatch.setattr(driftline.watching, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(driftline.watching, "write_state", lambda *_: (saves.append(time.monotonic()), time.sleep(0.01)))
    watch = Watching(tmp_path, DriftSettings(), lambda *_: ("m", ""), decode, {}, lambda _: None, tolerances={}, max_lag_bytes=SEGMENT_BYTES)
    ends = time.monotonic() + 1.2
    while time.monotonic() < ends:
        watch._skipped += 1  # there is something new to write
        watch.step()
        time.sleep(0.001)
    assert 1 < len(saves) <= 4
    assert min(later - earlier for earlier, later in pairwise(saves)) >= 0.5


def test_what_is_seen_without_a_lag_is_all_that_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(driftline.watching, "_SAVE_SECONDS", 3600.0)
    directory = create_writer_directory(tmp_path, 0)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=SEGMENT_BYTES, max_bytes=100 * SEGMENT_BYTES)
    content = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[0.25]}]}'
    served = msgspec.structs.replace(
        EXCHANGE, path="/v2/models/m/infer", status=200, request=Body(), response=Body(content, len(content), content_type="application/json")
    )
    watch = Watching(
        tmp_path, DriftSettings(), lambda *_: ("m", ""), decode, {}, lambda _: None, tolerances={("default", "candidate"): 0.005}, max_lag_bytes=SEGMENT_BYTES
    )
    watch.step()  # saves, and not again for an hour
    lags = []
    taken = watch._take
    watch._take = lambda payload: (lags.append(sum(watch.lag().values())), taken(payload))
    for exchange in (served, msgspec.structs.replace(served, role=Role.SHADOW, arm="candidate")):
        assert writer.append(exchange)
    watch.step()
    assert min(lags) > 0  # while they are taken
    assert not any(watch.lag().values())
    assert [(pair.arm, pair.compared, pair.agreed) for pair in watch.agreement] == [("candidate", 1, 1)]
    writer.close()
