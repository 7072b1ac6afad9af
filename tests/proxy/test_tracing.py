"""The trace context of requests that go on."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tracing import Tracing
from records.ids import new_exchange_id, span_id
from tests.proxy.conftest import Bench, answering

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"00-{TRACE}-{PARENT}-01"
_PATHS = itertools.count()


def lines(head: bytes, name: bytes) -> list[bytes]:
    return [line.partition(b":")[2].strip() for line in head.split(b"\r\n") if line.lower().startswith(name + b":")]


async def sent_on(bench: Bench, tracing: Tracing | None, *fields: str, recorded: bool = True) -> tuple[bytes, bytes]:
    """Return the head that the upstream got for a request with these fields, sent twice: equal heads are remembered; and the exchange's id.

    A process has one way of tracing, and remembers heads for it: here, where it has several, each gets heads of its own.
    """
    seen: list[tuple[bytes, bytes]] = []
    proxy = await bench.proxy(await bench.upstream(answering(b"ok", seen=seen)), tracing=tracing)
    proxy.tap.wants_records = recorded
    path = next(_PATHS)
    for _ in range(2):
        await proxy.exchange("\r\n".join([f"GET /{path} HTTP/1.1", "Host: h", "Connection: close", *fields, "", ""]).encode())
    made = proxy.tap.exchanges[-1].exchange_id if recorded else b""
    return seen[-1][0], made


async def test_the_upstream_is_told_the_id_of_its_span_in_the_callers_trace(bench) -> None:
    head, made = await sent_on(bench, Tracing(1.0), f"TraceParent: {CALLER}", "tracestate: a=1", "tracestate: b=2")
    assert lines(head, b"traceparent") == [f"00-{TRACE}-{span_id(made, 'upstream')}-01".encode()]
    assert lines(head, b"tracestate") == [b"a=1", b"b=2"]


async def test_without_a_caller_the_exchange_begins_a_trace(bench) -> None:
    head, made = await sent_on(bench, Tracing(1.0))
    assert lines(head, b"traceparent") == [f"00-{made.hex()}-{span_id(made, 'upstream')}-03".encode()]


@pytest.mark.parametrize("given", ["nonsense", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"{CALLER}, {CALLER}"])
async def test_what_cannot_be_read_does_not_go_on(bench, given: str) -> None:
    head, made = await sent_on(bench, Tracing(1.0), f"traceparent: {given}", "tracestate: a=1")
    assert lines(head, b"traceparent") == [f"00-{made.hex()}-{span_id(made, 'upstream')}-03".encode()]
    assert lines(head, b"tracestate") == []
    head, _ = await sent_on(bench, Tracing(0.0), f"traceparent: {given}", "tracestate: a=1")
    assert lines(head, b"traceparent") == lines(head, b"tracestate") == []


@pytest.mark.parametrize(("tracing", "recorded"), [(None, True), (Tracing(0.0), True), (Tracing(1.0), False)], ids=["off", "not in the share", "not on record"])
async def test_where_no_spans_will_be_made_it_goes_on_as_it_came(bench, tracing: Tracing | None, recorded: bool) -> None:
    head, _ = await sent_on(bench, tracing, f"traceparent: {CALLER}", "tracestate: a=1", recorded=recorded)
    assert (lines(head, b"traceparent"), lines(head, b"tracestate")) == ([CALLER.encode()], [b"a=1"])
    head, _ = await sent_on(bench, tracing, recorded=recorded)
    assert lines(head, b"traceparent") == []


@given(st.integers(1, 2**128 - 1), st.integers(0, 255), st.floats(0, 1))
def test_a_context_that_is_told_is_one_whose_trace_is_kept(trace: int, flags: int, share: float) -> None:
    named, made = {b"traceparent": f"00-{trace:032x}-{PARENT}-{flags:02x}".encode()}, new_exchange_id()
    told = Tracing(share).context(named, made, recorded=True).line(made, "upstream")
    assert bool(told) == (trace & (2**56 - 1) < int(share * 2**56))
    if told:
        assert told == f"traceparent: 00-{trace:032x}-{span_id(made, 'upstream')}-{flags & 2 | 1:02x}\r\n".encode()
