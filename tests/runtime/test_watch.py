import time

from runtime.session import Stop
from runtime.watch import Watch


def given_within(stop: Stop, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not stop.given and time.monotonic() < deadline:
        time.sleep(0.005)
    return stop.given


def test_a_run_that_computes_for_long_is_stopped() -> None:
    watch, stop = Watch(), Stop()
    watch.begin(stop, time.perf_counter_ns())
    used = time.thread_time()
    while not stop.given and time.thread_time() < used + 5:
        pass
    watch.end()
    watch.close()
    assert stop.given


def test_a_run_that_has_ended_or_only_waits_for_a_core_is_left_alone() -> None:
    watch, ended, waiting = Watch(), Stop(), Stop()
    watch.begin(ended, time.perf_counter_ns())
    watch.end()
    watch.begin(waiting, time.perf_counter_ns())
    assert not given_within(waiting, 0.3)
    assert not ended.given
    watch.close()


def test_a_run_that_waits_for_ever_is_stopped_in_the_end() -> None:
    watch, stop = Watch(), Stop()
    watch.begin(stop, time.perf_counter_ns())
    assert given_within(stop, 20)
    watch.close()
