"""Halves to exchanges, in whatever order they come."""

from hypothesis import given, settings
from hypothesis import strategies as st

from events.joining import EventJoiner, JoinLimits
from events.logged import Half
from records.exchange import Body, ErrorKind
from records.ids import format_uuid

NOW_NS = 1_763_640_000_000_000_000


def half(number, *, is_request=True, at_ns=0, size=10):
    content = (b"q" if is_request else b"a") * size
    return Half(f"e-{number}", f"r-{number}", is_request, "m", "default", at_ns, Body(content, size), "/v2/models/m/infer" if is_request else "")


def joiner(**limits):
    return EventJoiner(JoinLimits(**limits))


def test_two_halves_make_an_exchange_in_either_order():
    for order in ((True, False), (False, True)):
        join = joiner()
        first, second = (half(1, is_request=is_request, at_ns=NOW_NS + (0 if is_request else 5_000_000)) for is_request in order)
        assert join.add(first, 0, NOW_NS) == []
        ((exchange, events),) = join.add(second, 1, NOW_NS)
        assert (events, exchange.request.content, exchange.response.content) == (2, b"q" * 10, b"a" * 10)
        assert (exchange.started_at_ns, exchange.total_ns, exchange.status, exchange.error) == (NOW_NS, 5_000_000, 200, ErrorKind.NONE)


def test_the_same_events_give_the_same_id_and_it_sorts_by_time():
    def exchange_id(at_ns):
        join = joiner()
        join.add(half(1, at_ns=at_ns), 0, NOW_NS + 7)
        return join.add(half(1, is_request=False), 0, NOW_NS)[0].exchange.exchange_id

    assert exchange_id(NOW_NS) == exchange_id(NOW_NS)
    assert exchange_id(NOW_NS) < exchange_id(NOW_NS + 2_000_000)
    assert format_uuid(exchange_id(NOW_NS))[14] == "7"


def test_a_repeated_event_is_left_out_before_and_after_it_was_joined():
    join = joiner()
    assert join.add(half(1), 0, NOW_NS) == []
    assert join.add(half(1), 0, NOW_NS) is None
    assert len(join.add(half(1, is_request=False), 0, NOW_NS)) == 1
    assert join.add(half(1), 0, NOW_NS) is None
    assert join.add(half(1, is_request=False), 0, NOW_NS) is None


def test_a_half_that_waited_too_long_is_an_exchange_that_says_what_is_missing():
    join = joiner(wait_seconds=60)
    join.add(half(1), 0, NOW_NS)
    join.add(half(2, is_request=False), 30, NOW_NS)
    assert join.expire(59, NOW_NS) == []
    ((request, events),) = join.expire(60, NOW_NS)
    assert (events, request.error, request.status, request.response.content) == (1, ErrorKind.REPLY_NOT_LOGGED, 0, b"")
    ((reply, _),) = join.flush(NOW_NS)
    assert (reply.error, reply.status, reply.request.content) == (ErrorKind.REQUEST_NOT_LOGGED, 200, b"")
    assert len(join) == 0


def test_the_oldest_halves_make_room():
    join = joiner(waiting_bytes=5_000)
    assert [len(join.add(half(number, size=1_000), 0, NOW_NS)) for number in range(5)] == [0, 0, 1, 1, 1]


def test_clocks_that_disagree_give_no_negative_duration():
    join = joiner()
    join.add(half(1, at_ns=NOW_NS), 0, NOW_NS)
    assert join.add(half(1, is_request=False, at_ns=NOW_NS - 5), 0, NOW_NS)[0].exchange.total_ns == -1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), max_size=40))
def test_every_event_is_in_one_exchange_or_repeated_or_waits(steps):
    join = joiner(wait_seconds=5, waiting_bytes=4_000, known_events=1_000)
    now = recorded = repeated = 0
    for number, is_request, passed in steps:
        now += passed
        recorded += sum(each.events for each in join.expire(now, NOW_NS))
        joined = join.add(half(number, is_request=is_request), now, NOW_NS)
        repeated += joined is None
        recorded += sum(each.events for each in joined or [])
        assert recorded + repeated + len(join) <= len(steps)
    assert recorded + repeated + len(join) == len(steps)
