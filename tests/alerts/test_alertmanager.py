"""What Alertmanagers are handed, by real servers that take their API."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from alerts.alertmanager import AlertmanagerNotifier
from config.addresses import Endpoint
from records.alert import AlertState
from records.ports import NotDeliveredError


class Manager:
    """Takes what it is handed, or refuses it."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[list[dict[str, Any]]] = []
        self.asked = 0

    async def take(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.status == 200:
            self.taken.append(await request.json())
        return web.Response(status=self.status)

    async def has(self, count: int) -> list[list[dict[str, Any]]]:
        async with asyncio.timeout(10):
            while len(self.taken) < count:
                await asyncio.sleep(0.005)
        return self.taken


@pytest.fixture
async def manager() -> AsyncIterator[Manager]:
    manager = Manager()
    app = web.Application()
    app.router.add_post("/api/v2/alerts", manager.take)
    async with TestServer(app) as server:
        manager.url = Endpoint.parse(str(server.make_url("")))
        yield manager


NOBODY = Endpoint.parse("http://127.0.0.1:9")


async def test_one_of_a_cluster_that_takes_it_is_enough_and_none_is_an_error(manager: Manager, make_alert) -> None:
    await AlertmanagerNotifier([NOBODY, manager.url]).send([make_alert()])
    ((told,),) = manager.taken
    assert told["labels"]["alertname"] == "ModelDataDrift"
    assert told["endsAt"] > told["startsAt"], "it ends by itself when nobody repeats it"
    with pytest.raises(NotDeliveredError):
        await AlertmanagerNotifier([NOBODY]).send([make_alert()])


async def test_what_fires_is_repeated_and_what_was_resolved_is_not(manager: Manager, make_alert) -> None:
    known = [make_alert("fraud"), make_alert("churn", state=AlertState.RESOLVED)]
    repeating = asyncio.create_task(AlertmanagerNotifier([manager.url]).repeat(lambda: known, every_seconds=0.01))
    taken = await manager.has(2)
    repeating.cancel()
    assert [[alert["labels"]["model"] for alert in message] for message in taken[:2]] == [["fraud"], ["fraud"]]


async def test_while_nothing_fires_nobody_is_asked(manager: Manager, make_alert) -> None:
    rounds = 0

    def nothing_fires() -> list[Any]:
        nonlocal rounds
        rounds += 1
        return [make_alert(state=AlertState.RESOLVED)]

    repeating = asyncio.create_task(AlertmanagerNotifier([manager.url]).repeat(nothing_fires, every_seconds=0.005))
    async with asyncio.timeout(10):
        while rounds < 5:
            await asyncio.sleep(0.005)
    repeating.cancel()
    assert manager.asked == 0


async def test_a_manager_that_refuses_is_handed_it_the_next_time(manager: Manager, make_alert) -> None:
    manager.status = 503
    repeating = asyncio.create_task(AlertmanagerNotifier([manager.url]).repeat(lambda: [make_alert()], every_seconds=0.01))
    async with asyncio.timeout(10):
        while manager.asked < 2:
            await asyncio.sleep(0.005)
    manager.status = 200
    assert len(await manager.has(1)) >= 1
    repeating.cancel()
