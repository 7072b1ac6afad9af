"""A baseline from stored traffic, through the monitor that holds the store and without one."""

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest

from detectors.baseline import BaselineError
from detectors.columns import ColumnBuffer
from driftline import stored_columns
from records.payload import Decoded, Failed, Tensor, Undecodable


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


def vectors(count):
    """Exchanges of one vector of 1,000 values each, and how to read them."""
    exchanges = [SimpleNamespace(exchange=SimpleNamespace(started_at_ns=number)) for number in range(count)]
    reply = Failed("", Undecodable.EMPTY)
    return exchanges, lambda exchange: (Decoded("v2", [Tensor("x", "FP32", (1, 1_000), [float(exchange.started_at_ns)] * 1_000)]), reply)


def test_rows_that_are_wider_than_fits_memory_are_refused_or_the_last_of_them_taken(monkeypatch):
    monkeypatch.setattr(stored_columns, "BYTES_AT_MOST", 200_000)
    exchanges, decode = vectors(100)
    with pytest.raises(BaselineError, match="choose a shorter one with --since"):
        stored_columns.columns_of(exchanges, decode, ColumnBuffer(max_features=9, max_values=10_000))
    columns, times_ns = stored_columns.columns_of(exchanges, decode, ColumnBuffer(max_features=9, max_values=10_000), rows_at_most=90)
    assert 20 <= len(times_ns) <= 60
    assert times_ns[-1] == 99
    np.testing.assert_array_equal(columns["x"][:, 0], times_ns)
