import numpy as np
import pytest
from scipy import signal

from detectors.baseline import BaselineError
from detectors.null_run import NullRun, null_run

ROWS = 12_000


def following(seed=1, correlation=0.6):
    noise = np.random.default_rng(seed).normal(size=(3, ROWS))
    rows = signal.lfilter([np.sqrt(1 - correlation**2)], [1, -correlation], noise, axis=1)
    return {f"x{index}": column for index, column in enumerate(rows)}


def test_rows_that_follow_each_other_stay_within_the_budget():
    found = null_run(following(), ROWS, window_rows=200, baseline_rows=2_000, threshold=30.0)
    assert found.windows >= 300
    assert found.allowed == found.windows / 30
    assert found.baselines == round(found.windows / 50)
    assert found.is_within


def test_rows_that_come_in_runs_stay_within_the_budget():
    columns = {name: np.repeat(column[::20], 20) for name, column in following(correlation=0.0).items()}
    assert null_run(columns, ROWS, window_rows=200, baseline_rows=2_000, threshold=30.0).is_within


def test_values_out_of_range_and_rows_that_repeat_stay_within_the_budget():
    rng = np.random.default_rng(2)
    columns = {"heavy": rng.standard_t(2, size=ROWS), "level": rng.integers(0, 4, ROWS).astype(str).astype(object)}
    few = {"count": rng.poisson(2, ROWS).astype(np.float64), "level": columns["level"]}
    for each in (columns, few):  # of the second, nearly every row equals an earlier one
        assert null_run(each, ROWS, window_rows=200, baseline_rows=1_000, threshold=30.0).is_within


def test_more_alerts_than_chance_explains_are_not_within():
    assert NullRun(windows=1_000, baselines=10, alerts=18, allowed=10.0).is_within
    assert not NullRun(windows=1_000, baselines=10, alerts=19, allowed=10.0).is_within


def test_a_short_table_is_refused():
    with pytest.raises(BaselineError, match="need 5,200 rows, and the table has 5,000"):
        null_run({"x": np.zeros(5_000)}, 5_000, window_rows=200, baseline_rows=2_000, threshold=30.0)
