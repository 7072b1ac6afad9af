"""What all connections of a worker share."""

from config.settings import ProxySettings
from proxy.context import Context
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
