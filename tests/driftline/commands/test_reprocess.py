"""`driftline reprocess`."""

import asyncio
import json
import random

import pytest
from msgspec.structs import replace

from driftline.cli import main
from records.exchange import Body


def body(document):
    content = json.dumps(document).encode()
    return Body(content, len(content), content_type="application/json")


@pytest.fixture
def traffic(stored_exchange):
    """Six windows of 200 rows; from the fourth on the feature has moved."""
    draw = random.Random(1)
    rows = [draw.gauss(0, 1) + (2 if number >= 600 else 0) for number in range(1200)]
    tensors = [{"name": "x", "shape": [1], "datatype": "FP64", "data": [row]} for row in rows]
    return [replace(stored_exchange(number), request=body({"inputs": [tensor]}), response=body({"outputs": []})) for number, tensor in enumerate(tensors)]


def reprocess(directory, *options):
    return main(["reprocess", "--data-dir", str(directory), "--model", "m", "--window-rows", "200", "--baseline-rows", "200", *options])


def test_verdicts_over_a_stored_period_are_printed_and_nothing_is_written(data_directory, traffic, capfd):
    directory = data_directory(traffic)
    assert reprocess(directory, "--budget", "1 per 100 windows", "--json") == 0
    verdicts = json.loads(capfd.readouterr().out)
    assert (verdicts["alerts"], [window["rows"] for window in verdicts["windows"]]) == (1, [200] * 5)
    assert [window["index"] for window in verdicts["windows"] if window["alert"]] in ([2], [3])
    assert reprocess(directory, "--budget", "1 per 100 windows") == 0
    assert "1 alert in 5 windows; a budget of 1 per 100 windows" in capfd.readouterr().out
    counts = " UNION ALL ".join(f"SELECT count() FROM {table}" for table in ("windows", "verdicts", "baselines", "alerts", "features"))
    assert main(["sql", "--data-dir", str(directory), "--format", "CSV", counts]) == 0
    assert capfd.readouterr().out.split() == ["0"] * 5
    assert not (directory / "spool").exists()


def test_too_little_traffic_is_one_clear_sentence(data_directory, traffic, capfd):
    assert reprocess(data_directory(traffic[:50])) == 1
    assert "50 of 200 rows of a baseline" in capfd.readouterr().err


async def test_the_same_traffic_gives_the_verdicts_that_the_monitor_gave(up, upstream, clients_of, driftline, tmp_path):
    table = tmp_path / "rows.csv"
    draw = random.Random(2)
    table.write_text("x[0],x[1],output.y\n" + "\n".join(f"{draw.gauss(0.5, 1)},{draw.gauss(1.5, 1)},0.25" for _ in range(1000)))
    baseline = tmp_path / "m.json"
    assert driftline("baseline", "--model", "m", "--from", str(table), "--out", str(baseline)).returncode == 0
    config = tmp_path / "driftline.yaml"
    config.write_text("drift: {window_rows: 40, window_min_rows: 10, budget: 1 per 5 windows}\n")
    service = await up("--upstream", upstream.url, "--baseline", str(baseline), "--config", str(config))
    async with clients_of(service) as clients:
        while len(clients.answered) < 150:
            await asyncio.sleep(0.05)
    await service.settled_counts()
    windows = len(clients.answered) // 40
    query = ["sql", "--data-dir", str(service.data_dir), "--format", "JSONEachRow"]
    query += ["SELECT window_index AS index, rows, evidence FROM verdicts FINAL ORDER BY window_index"]
    while len(lines := (await asyncio.to_thread(driftline, *query)).stdout.splitlines()) < windows:
        await asyncio.sleep(0.2)
    live = [json.loads(line) for line in lines]
    command = ["reprocess", "--data-dir", str(service.data_dir), "--model", "m", "--baseline", str(baseline), "--config", str(config), "--json"]
    again = json.loads((await asyncio.to_thread(driftline, *command)).stdout)["windows"]
    assert [(each["index"], each["rows"]) for each in live] == [(each["index"], each["rows"]) for each in again]
    assert [each["evidence"] for each in live] == pytest.approx([each["evidence"] for each in again])
