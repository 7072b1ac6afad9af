from hypothesis import given
from hypothesis import strategies as st

from driftline.demo.plan import make_plan


def test_a_minute_gives_at_least_twenty_windows_of_the_default_size():
    plan = make_plan(60, capacity_per_second=5_000)
    assert plan.window_rows == 1_000
    assert plan.requests >= 20 * plan.window_rows


def test_a_slow_machine_gets_fewer_requests_in_smaller_windows():
    plan = make_plan(60, capacity_per_second=500)
    assert (plan.requests, plan.window_rows) == (6_000, 600)


def test_a_very_slow_machine_gets_a_longer_run():
    plan = make_plan(20, capacity_per_second=500)
    assert (plan.requests, plan.window_rows) == (5_000, 500)
    assert plan.duration_seconds == 50


@given(st.floats(20, 3_600), st.floats(10, 100_000))
def test_every_plan_has_five_windows_before_the_drift_and_five_after(duration_seconds, capacity_per_second):
    plan = make_plan(duration_seconds, capacity_per_second)
    assert 500 <= plan.window_rows <= 1_000
    assert plan.drift_at // plan.window_rows >= 5
    assert (plan.requests - plan.drift_at) // plan.window_rows >= 5
    assert plan.rate_per_second <= capacity_per_second / 4
