"""What all connections of a worker share."""

from config.settings import ProxySettings
from proxy.context import TICK_NS, Context
from proxy.occupancy import Occupancy
from records.exchange import ErrorKind

from .conftest import PlainCounters, RememberingTap


class Checked:
    """Something in flight that remembers when it was checked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.checked_at: list[int] = []
        self._error = error

    def check(self, now_ns: int) -> None:
        self.checked_at.append(now_ns)
        if self._error is not None:
            raise self._error

    def break_off(self, kind: ErrorKind, reason: str) -> None:
        raise AssertionError


async def test_a_check_that_fails_leaves_the_time_limits_of_all_others_as_they_are(caplog):
    context = Context(ProxySettings(), [], RememberingTap(), PlainCounters(), Occupancy.alone())
    parts = [Checked(), Checked(RuntimeError("broken")), Checked()]
    context.flights.update(parts)
    for now_ns in (1, 2):
        context.tick(now_ns)
    assert [part.checked_at for part in parts] == [[1, 2]] * 3
    assert "RuntimeError: broken" in caplog.text


async def test_after_a_stall_what_came_meanwhile_is_read_before_anybody_is_cut_off():
    context = Context(ProxySettings(), [], RememberingTap(), PlainCounters(), Occupancy.alone())
    part = Checked()
    context.flights.add(part)
    due_ns, stall_ns = context.coarse_ns, 1_000_000_000
    context.tick(due_ns)
    context.tick(late_ns := due_ns + TICK_NS + stall_ns)
    assert part.checked_at == [due_ns]
    context.tick(late_ns + TICK_NS)
    assert part.checked_at == [due_ns, late_ns + TICK_NS]


async def test_a_worker_that_is_always_late_still_cuts_off():
    context = Context(ProxySettings(), [], RememberingTap(), PlainCounters(), Occupancy.alone())
    part = Checked()
    context.flights.add(part)
    for number in range(1, 5):
        context.tick(context.coarse_ns + number * 1_000_000_000)
    assert len(part.checked_at) == 2
