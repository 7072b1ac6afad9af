import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.latency import LatencyModel


def observed(*pairs: tuple[int, float]) -> LatencyModel:
    model = LatencyModel()
    for rows, seconds in pairs:
        model.observe(rows, seconds)
    return model


def test_a_line_is_found_from_batches_of_several_sizes() -> None:
    model = observed(*[(rows, 0.001 + 0.0001 * rows) for rows in (1, 8, 32, 4, 16)])
    assert model.mean(64) == pytest.approx(0.0074)
    assert model.mean(1) == pytest.approx(0.0011)


def test_batches_of_one_size_say_that_each_row_costs_the_same() -> None:
    assert observed((1, 0.002), (1, 0.002)).mean(10) == pytest.approx(0.02)


def test_a_model_that_became_slower_is_followed() -> None:
    model = observed(*[(rows, 0.001) for rows in (1, 2) * 200], *[(rows, 0.01) for rows in (1, 2) * 300])
    assert model.mean(1) == pytest.approx(0.01, rel=0.05)


def test_the_slowest_of_a_hundred_lie_within_p99() -> None:
    random.seed(7)
    model = LatencyModel()
    times = [random.lognormvariate(-7, 0.5) for _ in range(5000)]
    for seconds in times:
        model.observe(1, seconds)
    share = sum(seconds <= model.p99(1) for seconds in times[-2000:]) / 2000
    assert 0.97 < share <= 1


def test_as_many_rows_fit_as_the_time_allows_and_never_none() -> None:
    model = observed(*[(rows, 0.001 * rows) for rows in (1, 2, 4, 8)] * 3)
    assert model.rows_within(0.0105, 64) in {9, 10}
    assert model.rows_within(1.0, 64) == 64
    assert model.rows_within(0.0, 64) == 1
    assert LatencyModel().rows_within(0.01, 64) == 64


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 100)), max_size=50), st.integers(1, 10_000), st.floats(0, 10))
def test_predictions_are_never_negative_whatever_was_observed(pairs: list[tuple[int, float]], rows: int, seconds: float) -> None:
    model = observed(*pairs)
    assert 0 <= model.mean(rows) <= model.p99(rows)
    assert 1 <= model.rows_within(seconds, rows) <= rows
