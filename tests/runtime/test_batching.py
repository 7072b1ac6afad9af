import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.model import BatchingSettings
from config.units import Seconds
from runtime.batching import BatchQueue, Later
from runtime.inference import Inference, Key
from runtime.latency import LatencyModel

MS = 1_000_000
FAR = 1 << 60


def item(arrived_ms: int = 0, *, rows: int = 1, key: Key = ((3,),), priority: int = 5, deadline_ns: int = FAR) -> Inference:
    made = Inference([], [])
    made.arrived_ns, made.rows, made.key, made.priority, made.deadline_ns = arrived_ms * MS, rows, key, priority, deadline_ns
    return made


def queue(*items: Inference, latency: LatencyModel | None = None, **settings: object) -> BatchQueue:
    made = BatchQueue(BatchingSettings(**settings), latency or LatencyModel())
    for each in items:
        made.put(each)
    return made


def linear(start: float, per_row: float) -> LatencyModel:
    model = LatencyModel()
    for rows in (1, 4, 16, 64):
        model.observe(rows, start + per_row * rows)
    return model


def test_a_request_that_waits_alone_is_computed_at_once() -> None:
    only = item()
    assert queue(only).take(0) == [only]


def test_nothing_waits_nothing_is_computed() -> None:
    assert queue().take(0) is None


def test_what_waits_is_computed_together_in_order_up_to_the_limit() -> None:
    items = [item(number) for number in range(5)]
    waiting = queue(*items, max_rows=3)
    assert waiting.take(10 * MS) == items[:3]
    assert waiting.take(10 * MS) == items[3:]
    assert (waiting.requests, waiting.rows) == (0, 0)


def test_rows_count_and_a_request_is_never_split() -> None:
    items = [item(rows=2), item(rows=2), item(rows=9), item(rows=1)]
    waiting = queue(*items, max_rows=4)
    assert [waiting.take(0) for _ in range(3)] == [items[:2], items[2:3], items[3:]]


def test_shapes_that_differ_are_never_mixed_and_the_oldest_goes_first() -> None:
    one, two, three = item(1, key=((3,),)), item(2, key=((4,),)), item(3, key=((3,),))
    waiting = queue(one, two, three)
    assert waiting.take(5 * MS) == [one, three]
    assert waiting.take(5 * MS) == [two]


def test_what_cannot_be_stacked_is_computed_alone() -> None:
    items = [item(key=None), item(key=None)]
    waiting = queue(*items)
    assert [waiting.take(0), waiting.take(0)] == [[items[0]], [items[1]]]


def test_priority_goes_before_age_and_a_batch_is_filled_with_what_comes_next() -> None:
    late, first, second = item(0, priority=9), item(5, priority=1), item(6, priority=5)
    assert queue(late, first, second, max_rows=2).take(9 * MS) == [first, second]


def test_an_idle_model_never_waits_even_if_it_may() -> None:
    """One client at a time: nothing ever came together, so there is nothing to wait for."""
    waiting = queue(max_wait=Seconds(0.1))
    for number in range(3):
        waiting.put(item(number))
        assert isinstance(waiting.take(number * MS), list)


def test_after_many_came_together_a_few_wait_for_the_others_but_no_longer_than_they_may() -> None:
    waiting = queue(*[item() for _ in range(8)], max_wait=Seconds(0.01))
    assert len(waiting.take(10 * MS)) == 8  # they have waited long enough
    waiting.put(item(20))
    assert waiting.take(21 * MS) == Later(30 * MS)
    assert len(waiting.take(30 * MS)) == 1


def test_batches_are_kept_so_small_that_the_target_is_met() -> None:
    latency = linear(0.001, 0.001)
    waiting = queue(*[item() for _ in range(64)], latency=latency, p99_target=Seconds(0.02))
    batch = waiting.take(0)
    assert isinstance(batch, list)
    assert 1 < len(batch) < 64
    assert latency.p99(len(batch)) <= 0.01


def test_without_a_target_batches_are_as_large_as_they_may() -> None:
    assert len(queue(*[item() for _ in range(64)], latency=linear(0.001, 0.001)).take(0)) == 64


def test_what_would_be_late_is_known_when_it_comes() -> None:
    waiting = queue(latency=linear(0.001, 0.001), p99_target=Seconds(0.02))
    assert not waiting.would_be_late(1)
    for _ in range(40):
        waiting.put(item())
    assert waiting.would_be_late(1)
    assert not waiting.would_be_late(100)
    assert waiting.wait_seconds(1) == pytest.approx(0.04, rel=0.3)


def test_what_is_too_late_or_abandoned_is_removed() -> None:
    late, gone, good = item(deadline_ns=5), item(), item()
    gone.abandoned = True
    waiting = queue(late, gone, good)
    assert waiting.expire(10) == [late, gone]
    assert waiting.take(10) == [good]
    assert waiting.oldest_ns() == 0


keys = st.sampled_from([None, ((3,),), ((4,),)])
items = st.builds(item, st.integers(0, 100), rows=st.integers(1, 9), key=keys, priority=st.integers(1, 9))


@given(st.lists(items, max_size=40), st.integers(1, 16))
def test_every_request_is_computed_once_in_batches_of_one_shape_within_the_limit(given_items: list[Inference], max_rows: int) -> None:
    waiting = queue(*given_items, max_rows=max_rows)
    seen: list[Inference] = []
    while (batch := waiting.take(FAR)) is not None:
        assert isinstance(batch, list)
        assert len({each.key for each in batch}) == 1
        assert len(batch) == 1 or (batch[0].key is not None and sum(each.rows for each in batch) <= max_rows)
        seen += batch
    assert sorted(map(id, seen)) == sorted(map(id, given_items))
    assert (waiting.requests, waiting.rows) == (0, 0)
