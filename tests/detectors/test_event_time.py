"""When rows happened, as a feature says."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.event_time import AHEAD_NS, event_times

NOON_NS = 1_763_640_000_000_000_000
NOW_NS = NOON_NS + 3_600_000_000_000
NOON = [NOON_NS / 1e9, NOON_NS / 1e6, NOON_NS / 1e3, float(NOON_NS), "2025-11-20T12:00:00Z", "2025-11-20T13:00:00+01:00", "2025-11-20 12:00:00"]
NO_TIMES = [None, np.nan, np.inf, -1.0, 0.0, "", "noon", "9999-99-99", 1e300, "0001-01-01T00:00:00+23:59", float(NOW_NS + 2 * AHEAD_NS)]


def times_of(*values):
    return event_times(np.array(values, dtype=object), np.full(len(values), NOW_NS))


@pytest.mark.parametrize("said", NOON)
def test_a_time_is_read_in_whatever_unit_or_text_it_comes(said):
    (found,), untimed = times_of(said)
    assert (abs(int(found) - NOON_NS) < 1_000, untimed) == (True, 0)


def test_what_is_no_possible_time_is_counted_and_the_exchange_has_one():
    found, untimed = times_of(*NO_TIMES)
    assert (set(found.tolist()), untimed) == ({NOW_NS}, len(NO_TIMES))


def test_a_clock_that_is_a_little_ahead_makes_no_row_of_the_future():
    found, untimed = times_of(float(NOW_NS) + AHEAD_NS / 2)
    assert (found.tolist(), untimed) == ([NOW_NS], 0)


def test_a_column_of_numbers_is_read_too():
    found, untimed = event_times(np.array([NOON_NS / 1e9, np.nan]), np.full(2, NOW_NS))
    assert (found.tolist(), untimed) == ([NOON_NS, NOW_NS], 1)


@given(st.lists(st.none() | st.text() | st.floats() | st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC).isoformat()), min_size=1))
def test_any_column_gives_a_time_for_each_row_that_is_not_in_the_future(values):
    found, untimed = times_of(*values)
    assert len(found) == len(values)
    assert 0 <= untimed <= len(values)
    assert bool((found <= NOW_NS).all() and (found > 0).all())
    assert datetime.fromtimestamp(int(found.min()) / 1e9, UTC)
