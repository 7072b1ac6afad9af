"""requests, httpx, aiohttp, websockets and OpenAI's client."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import httpx
import pytest
import requests
import websockets
from openai import OpenAI
from websockets.asyncio.client import connect

from .asgi_service import LARGE

BODY = bytes(range(256)) * 1024


def pieces():
    """A body without a length: it is sent in chunks."""
    for at in range(0, len(BODY), 10_000):
        yield BODY[at : at + 10_000]


def test_requests_posts_streams_and_keeps_its_connection(proxy):
    with requests.Session() as session:
        assert session.post(f"{proxy}/echo", data=BODY).content == BODY
        assert session.post(f"{proxy}/echo", data=pieces()).content == BODY
        assert session.get(f"{proxy}/large").content == LARGE
        with session.get(f"{proxy}/stream", stream=True) as reply:
            assert [line for line in reply.iter_lines() if line] == [b"data: %d" % number for number in range(5)]
        assert session.head(f"{proxy}/large").headers["Content-Length"] == str(len(LARGE))


def test_httpx_posts_streams_and_keeps_its_connection(proxy):
    with httpx.Client(base_url=proxy) as client:
        assert client.post("/echo", content=BODY).content == BODY
        assert client.post("/echo", content=pieces()).content == BODY
        with client.stream("GET", "/stream") as reply:
            came = [(line, time.monotonic()) for line in reply.iter_lines()]
        assert [line for line, _ in came if line] == [f"data: {number}" for number in range(5)]
        assert came[-1][1] - came[0][1] > 0.03  # as they were sent, and not all at the end


async def test_aiohttp_has_many_requests_at_a_time_answered(proxy):
    async def ask(number: int) -> bool:
        async with session.post(f"{proxy}/echo?{number}", data=BODY[: number * 100]) as reply:
            return reply.headers["X-Query"] == str(number) and await reply.read() == BODY[: number * 100]

    async with aiohttp.ClientSession() as session:
        assert all(await asyncio.gather(*(ask(number) for number in range(200))))
        async with session.get(f"{proxy}/stream") as reply:
            assert [line async for line in reply.content if line.strip()] == [b"data: %d\n" % number for number in range(5)]


async def test_websockets_echoes_text_bytes_and_large_messages_and_is_closed_with_its_code(proxy):
    async with connect(f"{proxy.replace('http', 'ws', 1)}/ws", max_size=None) as socket:
        for message in ("hello", b"\x00\xff", LARGE[:1_000_000], "x" * 100_000):
            await socket.send(message)
            assert await socket.recv() == message
        await (await socket.ping())
        await socket.send("bye")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (4000, "as asked")


async def test_many_websockets_stay_apart(proxy):
    async def talk(number: int) -> None:
        async with connect(f"{proxy.replace('http', 'ws', 1)}/ws") as socket:
            for turn in range(20):
                await socket.send(f"{number} {turn}")
                assert await socket.recv() == f"{number} {turn}"

    await asyncio.gather(*(talk(number) for number in range(20)))


def test_openais_client_has_its_answers_whole_and_streamed(proxy):
    with OpenAI(base_url=f"{proxy}/v1", api_key="none", max_retries=0) as client:
        messages = [{"role": "user", "content": "one two three"}]
        whole = client.chat.completions.create(model="m", messages=messages)
        assert whole.choices[0].message.content == "one two three"
        came = [(chunk.choices[0].delta.content, time.monotonic()) for chunk in client.chat.completions.create(model="m", messages=messages, stream=True)]
        assert [word for word, _ in came] == ["one", "two", "three"]
        assert came[-1][1] - came[0][1] > 0.015
