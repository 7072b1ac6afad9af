"""The queue before a notifier."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from alerts import outbox as outbox_module
from alerts.outbox import Backoff, Outbox, next_batch
from records.alert import AlertState
from records.ports import NotDeliveredError

QUICK = Backoff(first_seconds=0.001, most_seconds=0.002)


class Notifier:
    """Fails as often as it is told to, then takes everything."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.taken = []
        self.free = asyncio.Event()
        self.free.set()

    async def send(self, alerts):
        await self.free.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(list(alerts))


@contextlib.asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_each_change_is_delivered_once_and_in_order(make_alert):
    notifier = Notifier()
    outbox = Outbox("webhook", notifier)
    changes = [make_alert(), make_alert(state=AlertState.RESOLVED), make_alert()]
    async with running(outbox):
        for change in changes:
            outbox.put(change)
        await outbox.drained()
    assert [change for batch in notifier.taken for change in batch] == changes
    assert (outbox.delivered, outbox.given_up, outbox.waiting) == (3, 0, ())


async def test_what_fails_is_tried_again_until_it_arrives_and_said_in_the_log(make_alert, caplog):
    notifier = Notifier(NotDeliveredError("refused"), RuntimeError("a fault of ours"), NotDeliveredError("refused"))
    outbox = Outbox("webhook", notifier, backoff=QUICK)
    async with running(outbox):
        outbox.put(make_alert())
        await outbox.drained()
    assert notifier.taken == [[make_alert()]]
    assert "could not be sent by webhook: refused; attempt 1, 1 waiting" in caplog.text
    assert "Traceback" in caplog.text
    assert caplog.text.count("Traceback") == 1


async def test_putting_never_waits_and_what_comes_meanwhile_is_kept(make_alert):
    notifier = Notifier()
    notifier.free.clear()
    outbox = Outbox("webhook", notifier)
    async with running(outbox):
        outbox.put(make_alert("a"))
        await asyncio.sleep(0)
        outbox.put(make_alert("b"))
        assert len(outbox.waiting) == 2
        notifier.free.set()
        await outbox.drained()
    assert notifier.taken == [[make_alert("a")], [make_alert("b")]]


async def test_what_was_not_acknowledged_when_it_stopped_is_delivered_by_the_next(make_alert):
    notifier = Notifier()
    notifier.free.clear()
    first = Outbox("webhook", notifier)
    first.put(make_alert())
    async with running(first):
        await asyncio.sleep(0)
    notifier.free.set()
    second = Outbox("webhook", notifier, waiting=first.waiting)
    async with running(second):
        await second.drained()
    assert notifier.taken == [[make_alert()]]


async def test_when_full_the_oldest_resolved_goes_first_then_the_oldest(make_alert, monkeypatch, caplog):
    monkeypatch.setattr(outbox_module, "WAITING_AT_MOST", 3)
    outbox = Outbox("webhook", Notifier())
    a, b, c, d, e = (make_alert(name) for name in "abcde")
    old, new = make_alert("x", state=AlertState.RESOLVED), make_alert("y", state=AlertState.RESOLVED)
    for change in (a, old, new):
        outbox.put(change)
    outbox.put(b)
    assert outbox.waiting == (a, new, b)
    outbox.put(c)
    assert outbox.waiting == (a, b, c)
    outbox.put(d)
    outbox.put(e)
    assert outbox.waiting == (c, d, e)
    assert outbox.given_up == 4
    assert caplog.text.count("An alert was given up") == 4


def test_a_batch_is_of_one_name_with_one_change_of_each_alert(make_alert):
    a, b, resolved_a = make_alert("a"), make_alert("b"), make_alert("a", state=AlertState.RESOLVED)
    other = make_alert("a", name="ExchangesDropped")
    assert next_batch([a, b, resolved_a]) == [a, b]
    assert next_batch([a, other, b]) == [a]
    assert next_batch([resolved_a, a]) == [resolved_a]
    assert len(next_batch([make_alert(str(index)) for index in range(500)])) == outbox_module.BATCH_AT_MOST


@pytest.mark.parametrize(("failures", "jitter", "seconds"), [(1, 0.0, 1.0), (1, 1.0, 0.5), (2, 0.0, 2.0), (6, 0.5, 24.0), (7, 0.0, 60.0), (10**6, 0.0, 60.0)])
def test_the_wait_doubles_up_to_a_bound_with_jitter(failures, jitter, seconds):
    assert Backoff(1.0, 60.0).delay_seconds(failures, jitter) == seconds


async def test_nothing_is_sent_while_nobody_may_be_told(make_alert, monkeypatch):
    monkeypatch.setattr("alerts.outbox._LOOK_AGAIN_SECONDS", 0.01)
    closed = True
    sent = []

    class Notifier:
        async def send(self, alerts):
            sent.extend(alerts)

    outbox = Outbox("ticket", Notifier(), closed_seconds=lambda: 3600.0 if closed else 0.0)
    outbox.put(make_alert())
    delivering = asyncio.create_task(outbox.run())
    await asyncio.sleep(0.05)
    assert sent == []
    closed = False
    await asyncio.wait_for(outbox.drained(), 5)
    assert len(sent) == 1
    delivering.cancel()
