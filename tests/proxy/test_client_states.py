"""The states of a client's connection. Every move in every test of this room is held against the table by `ClientConnection` itself."""

from __future__ import annotations

import asyncio

import pytest

from proxy import client
from proxy.client import ANSWERING, CLOSED, LINGERING, MOVES, TUNNELLING, UNTAKEN, WAITING

from .conftest import answering

STATES = {WAITING, ANSWERING, UNTAKEN, TUNNELLING, LINGERING, CLOSED}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_the_table_has_every_state_and_nothing_else() -> None:
    assert set(MOVES) == STATES
    assert {to for moves in MOVES.values() for to in moves} == STATES
    assert all(what for moves in MOVES.values() for what in moves.values())


@pytest.mark.parametrize("state", sorted(STATES))
def test_whatever_state_a_connection_is_in_its_client_can_leave(state: int) -> None:
    assert CLOSED in MOVES[state]


async def test_a_connection_waits_answers_waits_and_lingers_behind_its_last_reply(bench):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def handle(reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await answer.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    writer.write(GET)
    async with asyncio.timeout(5):
        await asked.wait()
        (connection,) = proxy.connections
        assert connection.state == ANSWERING
        answer.set()
        await reader.readuntil(b"ok")
        assert connection.state == WAITING
        writer.write(b"nonsense\r\n\r\n")
        assert b"400" in await reader.readline()
        assert connection.state == LINGERING
        writer.close()
        while proxy.connections:
            await asyncio.sleep(0.01)
        assert connection.state == CLOSED


async def test_a_move_that_the_table_does_not_have_is_a_fault(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")))
    _, writer = await proxy.connect()
    async with asyncio.timeout(5):
        while not proxy.connections:
            await asyncio.sleep(0.01)
    (connection,) = proxy.connections
    with pytest.raises(AssertionError, match="cannot go from state 0 to 3"):
        connection.enter(client.TUNNELLING)
    writer.close()
