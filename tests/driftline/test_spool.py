"""The spool at its bounds, damaged and encrypted, by the command as a user starts it."""

import asyncio
import os
import signal

from aiohttp import ClientSession


def settings_file(directory, upstream, spool, *, store=""):
    path = directory / "driftline.yaml"
    path.write_text(f"routes:\n- upstream: {upstream.url}\nspool:\n{spool}\n{store}")
    return str(path)


async def test_with_drop_oldest_a_full_spool_keeps_what_came_last_and_all_counts_add_up(up, upstream, clients_of, free_address, tmp_path):
    spool = "  max_size: 8 MiB\n  segment_size: 1 MiB\n  when_full: drop_oldest\n"
    config = settings_file(tmp_path, upstream, spool, store=f"store:\n  clickhouse: http://{free_address()}\n")
    service = await up("--config", config)
    async with clients_of(service, clients=0, padding_bytes=32_768) as clients:
        for _ in range(600):
            await clients.send()
            await asyncio.sleep(0.01)  # else a spool so small is filled between two looks at it, and the newest records go
    assert len(clients.answered) == 600
    settings_file(tmp_path, upstream, spool)
    assert await service.stop() == 0
    service.start()
    await service.ready()
    counts = await service.settled_counts()
    stored = await service.stored_ids()
    assert counts["captured"] == 600
    assert counts["stored"] == stored.total() == len(stored)
    assert counts["stored"] + sum(counts["dropped"].values()) == 600
    assert counts["dropped"]["spool_full"] > 200
    assert "request-599" in stored
    assert "request-150" not in stored
    assert await service.stop() == 0


async def test_an_encrypted_spool_is_stored_as_any_other(up, upstream, clients_of, tmp_path):
    key = tmp_path / "spool.key"
    key.write_text("0123456789abcdef0123456789abcdef")
    service = await up("--config", settings_file(tmp_path, upstream, f"  fsync: 100ms\n  keys: a=file:{key}\n"))
    async with clients_of(service, clients=0) as clients:
        for _ in range(50):
            await clients.send()
    counts = await service.settled_counts()
    assert counts["stored"] == 50
    assert await service.stop() == 0
    assert (await service.stored_ids()).keys() == clients.answered


async def test_a_record_that_was_damaged_on_the_disk_is_counted_and_its_place_is_said(up, upstream, clients_of):
    service = await up("--upstream", upstream.url)
    os.kill(service.monitor(), signal.SIGSTOP)
    async with clients_of(service, clients=0) as clients:
        for _ in range(20):
            await clients.send()
    (segment,) = (service.data_dir / "spool").glob("*-w0-*/00000001.segment")
    content = segment.read_bytes()
    at = content.index(b"request-7")
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(b"R")
    os.kill(service.monitor(), signal.SIGCONT)
    async with asyncio.timeout(40):
        while (await service.settled_counts())["captured"] < 20:
            await asyncio.sleep(0.1)
    counts = await service.settled_counts()
    assert (counts["stored"], counts["dropped"]["corrupt"]) == (19, 1)
    async with ClientSession() as session, session.get(f"{service.admin}/api/v1/status") as reply:
        (damage,) = (await reply.json())["damages"]
    assert (damage["kind"], damage["writer"], damage["segment"], damage["first_sequence"], damage["records_lost"]) == ("corrupt", segment.parent.name, 1, 8, 1)
    assert 0 < at - damage["offset_bytes"] < 200
    assert 'driftline_spool_damages_total{kind="corrupt"} 1' in await service.metrics()
    assert await service.stop() == 0
