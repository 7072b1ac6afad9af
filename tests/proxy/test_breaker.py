"""When a shadow is left alone, and when it is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.breaker import Breaker

SECOND = 1_000_000_000


def end(breaker: Breaker, now_ns: int, *, failed: bool) -> None:
    ticket = breaker.admit(now_ns)
    assert ticket
    breaker.ended(ticket, now_ns, failed=failed)


def opened(now_ns: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(5):
        end(breaker, now_ns, failed=True)
    assert breaker.is_open
    return breaker


def test_five_failures_in_a_row_open_the_circuit_and_four_do_not():
    breaker = Breaker()
    for _ in range(4):
        end(breaker, 0, failed=True)
    end(breaker, 0, failed=False)
    for _ in range(4):
        end(breaker, 0, failed=True)
    assert not breaker.is_open
    end(breaker, 0, failed=True)
    assert breaker.is_open
    assert not breaker.admit(0)


def test_failing_more_often_than_not_opens_the_circuit_without_five_in_a_row():
    breaker = Breaker()
    for failed in [True, True, False, True] * 4:
        if not breaker.is_open:
            end(breaker, 0, failed=failed)
    assert breaker.is_open


def test_failing_every_second_time_does_not_open_the_circuit():
    breaker = Breaker()
    for failed in [True, False] * 50:
        end(breaker, 0, failed=failed)
    assert not breaker.is_open


def test_an_open_circuit_lets_one_request_through_after_each_pause():
    breaker = opened()
    admitted = [millisecond for millisecond in range(0, 5000, 10) if breaker.admit(millisecond * 1_000_000)]
    assert admitted == [1000, 2000, 3000, 4000]


def test_a_probe_that_ends_well_closes_the_circuit():
    breaker = opened()
    end(breaker, SECOND, failed=False)
    assert not breaker.is_open
    assert breaker.admit(SECOND)


def test_probes_that_fail_make_the_pause_longer_up_to_a_minute():
    breaker, now, pauses = opened(), 0, []
    for _ in range(9):
        before = now
        while not (ticket := breaker.admit(now)):
            now += SECOND // 2
        breaker.ended(ticket, now, failed=True)
        pauses.append((now - before) // SECOND)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_was_sent_before_the_circuit_opened_neither_closes_it_nor_makes_the_pause_longer():
    breaker = Breaker()
    early = [breaker.admit(0) for _ in range(50)]
    for _ in range(5):
        end(breaker, 0, failed=True)
    for ticket in early:
        breaker.ended(ticket, 0, failed=True)
    breaker.ended(early[0], 0, failed=False)
    assert breaker.is_open
    assert breaker.admit(SECOND)


def test_a_circuit_that_opens_again_soon_goes_on_from_its_pause_and_a_minute_later_starts_over():
    for closed_for, pause in ((10, 2), (61, 1)):
        breaker = opened()
        end(breaker, SECOND, failed=False)
        now = SECOND + closed_for * SECOND
        for _ in range(5):
            end(breaker, now, failed=True)
        assert not breaker.admit(now + pause * SECOND - 1)
        assert breaker.admit(now + pause * SECOND)


@given(st.lists(st.tuples(st.integers(0, 90 * SECOND), st.sampled_from([True, False, None]))))
def test_whatever_happens_a_minute_without_requests_lets_one_through(events):
    breaker, now = Breaker(), 0
    for wait, failed in events:
        now += wait
        ticket = breaker.admit(now)
        if ticket and failed is not None:  # None: it came to no end, as where its client left
            breaker.ended(ticket, now, failed=failed)
    assert breaker.admit(now + 60 * SECOND)
