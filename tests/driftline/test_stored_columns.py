"""A baseline from stored traffic, through the monitor that holds the store and without one."""

import asyncio
import json


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
