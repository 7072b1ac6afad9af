"""Times as text."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from records.times import format_time


@given(st.integers(min_value=0, max_value=4_102_444_800_000_000_000))
def test_the_text_is_the_same_moment_to_the_millisecond(time_ns):
    read = datetime.fromisoformat(format_time(time_ns))
    assert round(read.timestamp() * 1000) == time_ns // 1_000_000
