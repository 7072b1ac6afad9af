"""A baseline from stored traffic, through the monitor that holds the store and without one."""

import asyncio
import json

import numpy as np
import pyarrow as pa

from config.settings import Settings
from driftline import stored_columns, stored_exchanges


async def test_a_baseline_is_made_from_what_the_store_holds(up, upstream, clients_of, driftline, tmp_path):
    service = await up("--upstream", upstream.url)
    async with clients_of(service) as clients:
        while len(clients.answered) < 120:
            await asyncio.sleep(0.05)
    await service.settled_counts()

    def make(*options):
        out = tmp_path / "made.json"
        finished = driftline("baseline", "--model", "m", "--from-store", "--data-dir", str(service.data_dir), "--out", str(out), *options)
        return finished, json.loads(out.read_text()) if finished.returncode == 0 else None

    finished, through_monitor = await asyncio.to_thread(make)
    assert finished.returncode == 0, finished.stderr
    assert through_monitor["rows"] == len(clients.answered)
    assert [feature["name"] for feature in through_monitor["features"]] == ["x[0]", "x[1]", "output.y"]

    finished, _ = await asyncio.to_thread(make, "--until", "2020-01-01T00:00")
    assert finished.returncode == 2
    assert "no traffic of the model 'm'" in finished.stderr

    assert await service.stop() == 0
    finished, without_monitor = await asyncio.to_thread(make)
    assert finished.returncode == 0, finished.stderr
    assert without_monitor["baseline_id"] == through_monitor["baseline_id"]


def test_pages_of_stored_exchanges_join_to_one_table(monkeypatch):
    rows = [
        {
            "writer": "w",
            "sequence": number,
            "started_at_ns": number,
            "route": "default",
            "path": "/v2/models/m/infer",
            "status": 200,
            **dict.fromkeys(("request_content_type", "response_content_type"), "application/json"),
            **dict.fromkeys(("request_content_encoding", "response_content_encoding"), ""),
            **dict.fromkeys(("request_truncated", "response_truncated"), False),
            "request_body": b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[%d]}]}' % number,
            "response_body": b'{"outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[1]}]}',
            **dict.fromkeys(("request_size_bytes", "response_size_bytes"), 10),
            **{f"{side}_{part}": [] for side in ("request", "response") for part in ("names", "values")},
        }
        for number in range(1, 8)
    ]
    asked = []

    def answer(settings, query, output_format):
        assert (type(settings), output_format) == (Settings, "ArrowStream")
        behind = int(query.partition("fromUnixTimestamp64Nano(")[2].partition(")")[0]) if asked else 0
        asked.append(query)
        table = pa.Table.from_pylist(rows[behind : behind + 3])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        yield sink.getvalue().to_pybytes()

    monkeypatch.setattr(stored_exchanges, "ask", answer)
    monkeypatch.setattr(stored_exchanges, "_PAGE_EXCHANGES", 3)
    columns, times_ns = stored_columns.columns_from_store(Settings(), stored_exchanges.Period("it's"))
    np.testing.assert_array_equal(columns["x"], [1, 2, 3, 4, 5, 6, 7])
    assert times_ns.tolist() == [row["started_at_ns"] for row in rows]
    assert len(asked) == 3
    assert r"model = 'it\'s'" in asked[0]
