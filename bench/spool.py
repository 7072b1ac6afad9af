"""What the spool costs: CPU per record to append and to read, and per idle poll: `python -m bench.spool`.

Records are of about 1 KB of MessagePack: an exchange with two bodies of 400 bytes. Appending is timed on the thread that appends, as a worker's loop
would feel it, and with the thread that prepares segments. The figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from bench.report import machine_sentence, markdown_table, write_json
from records.exchange import Body, Exchange, Role
from records.ids import new_exchange_id
from store.spool.ledger import LedgerWriter
from store.spool.reader import SpoolReader
from store.spool.writer import SpoolWriter, create_writer_directory

BATCH_FRAMES = 10_000
BATCH_BYTES = 32 * 1024 * 1024
SEGMENT_BYTES = 4 * 1024 * 1024
POLLS = 1_000
IDLE_WRITERS = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.spool", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000, metavar="N", help="records per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--spool-dir", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR", help="where the spool lies (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    rounds = [_measure(arguments.records, arguments.spool_dir) for _ in range(arguments.rounds)]
    median = {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}
    size = len(msgspec.msgpack.encode(_exchange()))
    print(f"{machine_sentence()}; {arguments.records} records of {size} bytes, {arguments.rounds} rounds\n")
    print(markdown_table(["", "CPU, µs"], [[name, f"{microseconds:.2f}"] for name, microseconds in median.items()]))
    if arguments.json:
        write_json(arguments.json, {"record_bytes": size, "median_us": median, "rounds": rounds})


def _measure(records: int, spool_dir: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=spool_dir) as directory:
        spool = Path(directory)
        writer, ledger = _start_writer(spool, 0)
        appending, preparing = _append(writer, records)
        reader = SpoolReader(spool, {})
        reading = _read(reader, records)
        others = [_start_writer(spool, number) for number in range(1, IDLE_WRITERS)]
        reader.read(1, 1)
        polling = _poll(reader)
        reader.close()
        for writer_then, ledger_then in ((writer, ledger), *others):
            writer_then.close()
            ledger_then.close()
    return {
        "append a record": appending / records * 1e6,
        "…with preparing segments": preparing / records * 1e6,
        "read a record": reading / records * 1e6,
        f"poll {IDLE_WRITERS} idle writers": polling / POLLS * 1e6,
    }


def _start_writer(spool: Path, worker: int) -> tuple[SpoolWriter, LedgerWriter]:
    directory = create_writer_directory(spool, worker)
    ledger = LedgerWriter(directory)
    return SpoolWriter(directory, ledger, segment_bytes=SEGMENT_BYTES, max_bytes=1 << 40), ledger


def _append(writer: SpoolWriter, records: int) -> tuple[float, float]:
    """Return the CPU seconds of this thread and of the process. Where the disk is behind, wait for it as traffic would."""
    exchange, appended = _exchange(), 0
    thread, process = time.thread_time(), time.process_time()
    while appended < records:
        if writer.append(exchange):
            appended += 1
        else:
            time.sleep(0.001)
    return time.thread_time() - thread, time.process_time() - process


def _read(reader: SpoolReader, records: int) -> float:
    read, began = 0, time.thread_time()
    while read < records:
        read += len(reader.read(BATCH_FRAMES, BATCH_BYTES).frames)
    return time.thread_time() - began


def _poll(reader: SpoolReader) -> float:
    began = time.thread_time()
    for _ in range(POLLS):
        reader.read(BATCH_FRAMES, BATCH_BYTES)
    return time.thread_time() - began


def _exchange() -> Exchange:
    body = Body(content=b"0123456789" * 40, size_bytes=400, content_type="application/json")
    return Exchange(
        exchange_id=new_exchange_id(),
        request_id="7f0c9f5c-7b36-4b2e-9c5e-4f6b1f3f6f10",
        role=Role.SERVED,
        route="default",
        arm="primary",
        model="fraud",
        started_at_ns=time.time_ns(),
        total_ns=1_000_000,
        method="POST",
        path="/v2/models/fraud/infer",
        status=200,
        client="127.0.0.1",
        request=body,
        response=body,
    )


if __name__ == "__main__":
    main()
