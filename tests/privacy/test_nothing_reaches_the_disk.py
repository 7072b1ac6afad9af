"""A secret that the rules name is in no file of the spool, however it comes."""

import asyncio
import gzip
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.addresses import Url
from config.redaction import Action, Place
from config.secrets import Secret
from config.settings import PrivacySettings, ProxySettings, RedactionSettings, RouteSettings, ShadowSettings
from config.units import Bytes
from privacy.keys import Hasher
from privacy.tap import private
from proxy.worker import Worker
from records.exchange import KEPT_FIELDS
from store.spool.ledger import LedgerWriter, read_ledger
from store.spool.writer import SpoolWriter, create_writer_directory

from .making import body, exchange, policy

PLACES = ("$..secret", "$.rows[*][1]", "tensor:ssn", "form:secret", "?secret", "header:x-request-id", "header:seldon-model")
CAPTURE_BYTES = 2_000
NEVER_KEPT = {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"}

values = st.recursive(
    st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
planted = st.recursive(
    st.builds(
        lambda value, more: {**more, "secret": value},
        st.sampled_from(["s3cr3t", ["s3cr3t", {"a": "s3cr3t"}], {"b": "s3cr3t"}]),
        st.dictionaries(st.text(max_size=5), values, max_size=2),
    ),
    lambda inner: st.lists(inner | values, max_size=3) | st.dictionaries(st.text(max_size=5), inner | values, max_size=3),
    max_leaves=6,
)


def test_credentials_are_no_fields_that_are_kept() -> None:
    assert NEVER_KEPT.isdisjoint(KEPT_FIELDS)


@given(planted, st.sampled_from(Action), st.integers(0, 400), st.sampled_from(["whole", "cut", "gzip", "escaped", "nan", "spaced"]))
def test_no_record_has_a_secret_wherever_it_stands_and_however_its_body_comes(document: object, action: Action, cut: int, form: str) -> None:
    content = json.dumps(document, ensure_ascii=form == "escaped", indent=3 if form == "spaced" else None).encode("utf-8", "surrogatepass")
    content = {"cut": content[:cut], "gzip": gzip.compress(content), "nan": b'{"x":NaN,"y":%b}' % content}.get(form, content)
    sent = body(content, encoding="gzip" if form == "gzip" else "", truncated=form == "cut")
    record = policy(("$..secret", action.value)).kept(exchange(sent, sent)).exchange
    assert b"s3cr3t" not in msgspec.msgpack.encode(record)


class Secrets:
    """Words that must not be found, and words that must, so that the search is known to see."""

    def __init__(self) -> None:
        self._numbers = count()
        self.hidden: list[bytes] = []
        self.open: list[bytes] = []

    def secret(self) -> str:
        self.hidden.append(b"hidden%06dx" % next(self._numbers))
        return self.hidden[-1].decode()

    def word(self) -> str:
        self.open.append(b"open%06dx" % next(self._numbers))
        return self.open[-1].decode()


class Running:
    def __init__(self, port: int, directory: Path, secrets: Secrets) -> None:
        self.port, self.directory, self.secrets = port, directory, secrets
        self.subjects: list[bytes] = []

    async def send(self, *pieces: bytes, leave: bool = False) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        if leave:
            writer.transport.abort()
            return b""
        async with asyncio.timeout(10):
            reply = await reader.read()
        writer.close()
        return reply

    def request(self, content: bytes, *, content_type: str = "application/json", target: str = "", fields: str = "") -> bytes:
        secrets = self.secrets
        bearer = secrets.secret()
        self.subjects.append(f"Bearer {bearer}".encode())
        credentials = f"Authorization: Bearer {bearer}\r\nCookie: a={secrets.secret()}\r\nX-Api-Key: {secrets.secret()}\r\n"
        known = f"X-Request-Id: {secrets.secret()}\r\nSeldon-Model: {secrets.secret()}\r\nContent-Type: {content_type}\r\nConnection: close\r\n"
        target = target or f"/v2/models/m/infer?secret={secrets.secret()}&word={secrets.word()}"
        return f"POST {target} HTTP/1.1\r\nHost: a\r\n{credentials}{known}{fields}".encode() + content


def framed(content: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(content), content)


def chunked(content: bytes, rng: random.Random) -> list[bytes]:
    cuts = sorted(rng.randrange(len(content) + 1) for _ in range(4))
    parts = [part for first, last in zip([0, *cuts], [*cuts, len(content)], strict=True) if (part := content[first:last])]
    return [b"Transfer-Encoding: chunked\r\n\r\n", *[b"%x\r\n%b\r\n" % (len(part), part) for part in parts], b"0\r\n\r\n"]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the request's own body, coding and credentials."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    named = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}
    if "upgrade" in named:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        writer.write(await reader.read(1000))
    else:
        content = b""
        if "transfer-encoding" in named:
            while size := int(await reader.readline(), 16):
                content += await reader.readexactly(size)
                await reader.readline()
        else:
            content = await reader.readexactly(int(named.get("content-length", "0")))
        coding = f"Content-Encoding: {named['content-encoding']}\r\n" if "content-encoding" in named else ""
        cookie = f"Set-Cookie: {named.get('cookie', '')}\r\nSeldon-Model: {named.get('seldon-model', '')}\r\n"
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: {named.get('content-type', '')}\r\n{coding}{cookie}Content-Length: {len(content)}\r\n\r\n".encode() + content
        )
    await writer.drain()


@asynccontextmanager
async def running(spool: Path, action: Action) -> AsyncIterator[Running]:
    async with AsyncExitStack() as stack:
        urls = []
        for _ in range(2):
            server = await asyncio.start_server(_closing, "127.0.0.1", 0)
            stack.callback(server.close)
            urls.append(Url.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        redact = tuple(RedactionSettings(at=Place.parse(place), do=action) for place in PLACES)
        route = RouteSettings(
            upstream=(urls[0],),
            path="/v2",
            redact=redact,
            subject=Place.parse("header:authorization"),
            shadows=(ShadowSettings(url=(urls[1],), name="shadow"),),
        )
        directory = create_writer_directory(spool, 0)
        ledger = LedgerWriter(directory)
        writer = SpoolWriter(directory, ledger, segment_bytes=1 << 20, max_bytes=1 << 24)
        tap = private(writer, [route], PrivacySettings(hash_keys=(Secret("k", variable="PATH"),)), ledger)
        stop = asyncio.Event()
        worker = Worker(ProxySettings(grace=1.0, capture=Bytes(CAPTURE_BYTES)), [route], tap, ledger)
        listening = socket.create_server(("127.0.0.1", 0))
        served = asyncio.get_running_loop().create_task(worker.serve(listening, stop))
        yield Running(listening.getsockname()[1], directory, Secrets())
        stop.set()
        await served
        writer.close()
        ledger.close()


async def _closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await echo(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def found(spool: Path, words: list[bytes]) -> list[bytes]:
    content = b"".join(file.read_bytes() for file in spool.rglob("*") if file.is_file())
    return [word for word in words if word in content]


async def send_everything(proxy: Running, rng: random.Random) -> None:
    secrets = proxy.secrets
    for _ in range(3):
        for content in (
            json.dumps({"a": [{"secret": secrets.secret()}], "rows": [[1, secrets.secret()]], "open": secrets.word()}).encode(),
            json.dumps(
                {"inputs": [{"name": "ssn", "shape": [1], "datatype": "BYTES", "data": [secrets.secret()]}, {"name": secrets.word(), "data": []}]}
            ).encode(),
            b'{"x": NaN, "secret": "%b"}' % secrets.secret().encode(),
        ):
            await proxy.send(proxy.request(framed(content)))
            await proxy.send(proxy.request(b""), *chunked(content, rng))
            await proxy.send(proxy.request(framed(gzip.compress(content)), fields="Content-Encoding: gzip\r\n"))
            await proxy.send(proxy.request(framed(gzip.compress(content, 0)), fields="Content-Encoding: gzip\r\n"))
            await proxy.send(proxy.request(framed(content[:-1])))
            await proxy.send(proxy.request(framed(content + b" " * CAPTURE_BYTES + b"x")))
            await proxy.send(proxy.request(b"Content-Length: 1000\r\n\r\n" + content), leave=True)
            await proxy.send(proxy.request(b"Content-Length: 10\r\nContent-Length: 11\r\n\r\n" + content))
    form = urlencode({"secret": secrets.secret(), "open": secrets.word()}).encode()
    await proxy.send(proxy.request(framed(form), content_type="application/x-www-form-urlencoded"))
    await proxy.send(proxy.request(framed(b"--x\r\n\r\n" + secrets.secret().encode()), content_type="multipart/form-data; boundary=x"))
    await proxy.send(proxy.request(framed(b""), target=f"/typo?secret={secrets.secret()}"))
    await proxy.send(proxy.request(framed(b""), target=f"/v2/x?s%65cret={secrets.secret()}"))
    socket_request = f"GET /v2?secret={secrets.secret()} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    await proxy.send(socket_request.encode(), secrets.secret().encode(), leave=False)


@pytest.mark.parametrize("action", Action)
async def test_no_secret_is_in_the_spool_whatever_way_it_came(tmp_path: Path, action: Action) -> None:
    async with running(tmp_path, action) as proxy:
        await send_everything(proxy, random.Random(action.value))
        await asyncio.sleep(0.1)
    assert found(tmp_path, proxy.secrets.hidden) == []
    seen = found(tmp_path, proxy.secrets.open)
    assert len(seen) > len(proxy.secrets.open) // 2, "the search does not see what is there"
    hasher = Hasher("k", Secret("k", variable="PATH").secret())
    hashes = [hasher(subject).encode() for subject in proxy.subjects]
    assert len(found(tmp_path, hashes)) > len(hashes) // 2, "subjects are kept by their hashes"
    assert read_ledger(proxy.directory).sequence > 2 * 60
