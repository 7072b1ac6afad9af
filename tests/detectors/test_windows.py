import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.windows import Cut, WindowPolicy

SECOND_NS = 1_000_000_000


def times(*seconds):
    return np.array([second * SECOND_NS for second in seconds], dtype=np.int64)


def test_a_window_takes_no_more_than_its_rows_and_closes_on_the_last():
    assert WindowPolicy(max_rows=5, min_rows=2).cut(3, 0, times(1, 2, 3)) == Cut(rows=2, closes=True)


def test_a_window_with_room_takes_the_whole_batch_and_stays_open():
    assert WindowPolicy(max_rows=5, min_rows=2).cut(0, 0, times(1, 2, 3)) == Cut(rows=3, closes=False)


def test_a_row_after_the_windows_time_belongs_to_the_next_window():
    assert WindowPolicy(max_rows=100, max_seconds=10, min_rows=2).cut(1, 0, times(1, 9, 10, 11)) == Cut(rows=2, closes=True)


def test_a_window_whose_time_is_over_waits_for_its_fewest_rows():
    policy = WindowPolicy(max_rows=100, max_seconds=10, min_rows=5)
    assert policy.cut(1, 0, times(20, 21)) == Cut(rows=2, closes=False)
    assert policy.cut(3, 0, times(20, 21, 22)) == Cut(rows=2, closes=True)


def test_without_a_time_a_window_closes_by_rows_alone():
    assert WindowPolicy(max_rows=100, max_seconds=None, min_rows=1).cut(50, 0, times(10**9)) == Cut(rows=1, closes=False)


def test_a_window_is_due_by_time_only_with_its_fewest_rows():
    policy = WindowPolicy(max_rows=100, max_seconds=10, min_rows=5)
    assert policy.is_due(5, 0, 10 * SECOND_NS)
    assert not policy.is_due(4, 0, 10 * SECOND_NS)
    assert not policy.is_due(5, 0, 9 * SECOND_NS)


def windows(policy, row_times, batch_sizes):
    """Cut rows that arrive in batches, and return the rows of each closed window."""
    closed, open_rows, opened = [], 0, 0
    start = 0
    for size in batch_sizes:
        batch = row_times[start : start + size]
        start += size
        while len(batch):
            opened = opened if open_rows else int(batch[0])
            cut = policy.cut(open_rows, opened, batch)
            open_rows += cut.rows
            batch = batch[cut.rows :]
            if cut.closes:
                closed.append(open_rows)
                open_rows = 0
    return closed


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 10), st.integers(1, 10), st.data())
def test_windows_do_not_depend_on_how_rows_are_batched(gaps, max_rows, min_rows, data):
    policy = WindowPolicy(max_rows=max_rows, max_seconds=20, min_rows=min_rows)
    row_times = times(*np.cumsum(gaps).tolist())
    sizes = []
    while sum(sizes) < len(row_times):
        sizes.append(data.draw(st.integers(1, len(row_times) - sum(sizes))))
    # A window may close with the last row of a batch, or with the first row after it: one row at a time is the reference.
    expected = windows(policy, row_times, [1] * len(row_times))
    assert windows(policy, row_times, sizes) == expected
    assert all(rows <= max_rows for rows in expected)
