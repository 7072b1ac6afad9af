"""`driftline labels import`, with the store in this process and with a monitor that holds it."""

import asyncio
import csv
import datetime as dt
import json
import os
import signal

import pyarrow as pa
import pytest
from aiohttp import ClientSession
from pyarrow import parquet

from driftline.cli import main
from store.clickhouse.client import EmbeddedStore
from tests.store.clickhouse_server import ClickHouseServer

ROWS = [{"request_id": f"r-{number}", "label": number % 2} for number in range(6000)]


@pytest.fixture
def data_directory(tmp_path):
    store = EmbeddedStore(tmp_path / "data")
    store.client().close()
    store.close()
    return tmp_path / "data"


def stored(directory, capfd):
    capfd.readouterr()
    assert main(["sql", "--data-dir", str(directory), "--format", "TabSeparated", "SELECT count(), uniqExact(request_id), sum(label_number) FROM labels"]) == 0
    return capfd.readouterr().out.split()


def import_file(directory, path):
    return main(["labels", "import", "--data-dir", str(directory), str(path)])


def test_a_csv_file_is_imported_once_however_often(data_directory, tmp_path, capfd):
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("request_id", "label"), *(row.values() for row in ROWS)])
    assert import_file(data_directory, path) == 0
    assert capfd.readouterr().out == "6,000 labels taken, 0 lines refused.\n"
    assert import_file(data_directory, path) == 0
    assert stored(data_directory, capfd) == ["6000", "6000", "3000"]


def test_a_parquet_file_is_imported(data_directory, tmp_path, capfd):
    path = tmp_path / "labels.parquet"
    moment = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    parquet.write_table(pa.Table.from_pylist([{**row, "labelled_at": moment, "key": None} for row in ROWS]), path)
    assert import_file(data_directory, path) == 0
    assert stored(data_directory, capfd) == ["6000", "6000", "3000"]


def test_lines_that_are_no_labels_are_shown_with_their_number_in_the_file(data_directory, tmp_path, capfd):
    path = tmp_path / "labels.ndjson"
    lines = [json.dumps(row) for row in ROWS]
    lines[5500:5500] = ["nonsense", '{"label": 1}']
    path.write_text("\n".join(lines))
    assert import_file(data_directory, path) == 1
    out, err = capfd.readouterr()
    assert out == "6,000 labels taken, 2 lines refused.\n"
    assert [line.partition(": ")[2].partition(":")[0] for line in err.splitlines()] == ["line 5501", "line 5502"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("labels.txt", b"", "expected a file named *.csv"),
        ("labels.csv", b"a,b\n", "expected a CSV header"),
        ("labels.csv", b"key,label\n\xff,1\n", "utf-8"),
        ("labels.parquet", b"nonsense", "not a Parquet file"),
        ("labels.ndjson", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_sentence(data_directory, tmp_path, capfd, name, content, complaint):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert import_file(data_directory, tmp_path / name) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert complaint in err


def test_a_server_s_store_needs_no_data_directory_yet(tmp_path, capfd):
    server = ClickHouseServer(tmp_path / "server")
    try:
        (tmp_path / "labels.csv").write_text("key,label\nk,1\n")
        assert main(["labels", "import", "--clickhouse", server.url, "--data-dir", str(tmp_path / "new"), str(tmp_path / "labels.csv")]) == 0
        assert capfd.readouterr().out == "1 labels taken, 0 lines refused.\n"
    finally:
        server.close()


def test_without_a_store_there_is_nothing_to_import_into(tmp_path, capfd):
    (tmp_path / "labels.csv").write_text("key,label\nk,1\n")
    assert import_file(tmp_path / "nowhere", tmp_path / "labels.csv") == 1
    assert "there is no store in" in capfd.readouterr().err


async def test_a_running_monitor_takes_the_labels_and_joins_them_though_it_is_killed(up, upstream, clients_of, tmp_path, driftline):
    service = await up("--upstream", upstream.url)
    async with clients_of(service, clients=1) as clients:
        while len(clients.answered) < 5:
            await clients.send()
    await service.settled_counts()
    async with ClientSession() as session, session.post(f"{service.admin}/api/v1/labels", json={"request_id": "request-0", "label": 0.5}) as reply:
        assert (reply.status, (await reply.json())["accepted"]) == (200, 1)
    os.kill(service.monitor(), signal.SIGKILL)
    await asyncio.sleep(0.1)
    await service.ready()
    path = tmp_path / "labels.ndjson"
    path.write_text("\n".join(json.dumps({"request_id": f"request-{number}", "label": 0.25}) for number in range(1, 5)))
    imported = driftline("labels", "import", "--data-dir", str(service.data_dir), str(path))
    assert (imported.returncode, imported.stdout) == (0, "4 labels taken, 0 lines refused.\n")
    while 'driftline_labelled_rows_total{arm="upstream",model="m"} 5.0' not in await service.metrics():
        await asyncio.sleep(0.1)
    answer = driftline("sql", "--data-dir", str(service.data_dir), "--format", "CSV", "SELECT request_id, prediction, correct FROM labelled FINAL ORDER BY 1")
    assert answer.stdout.splitlines() == ['"request-0","0.25",false', *(f'"request-{number}","0.25",true' for number in range(1, 5))]
