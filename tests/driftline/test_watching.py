"""The detectors' way through the spool, and what a restart finds."""

import driftline.watching
from config.settings import DriftSettings
from driftline.watching import Watching
from records.exchange import Body, Exchange, Role
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
    watch = Watching(spool, DriftSettings(), lambda _: ("m", ""), {}, lambda _: None, shadowed=set(), max_lag_bytes=SEGMENT_BYTES)
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
