import numpy as np
from pyarrow import parquet

from driftline.demo import measurements
from driftline.demo.measurements import DRIFTED


def test_baseline_and_traffic_come_from_one_pool_that_no_model_was_trained_on(data):
    trained = {row.tobytes() for row in data.training}
    drawn = {row.tobytes() for row in measurements.resample(data.pool, 5_000, seed=1)} | {
        row.tobytes() for row in measurements.resample(data.pool, 5_000, seed=2)
    }
    assert drawn == {row.tobytes() for row in data.pool}
    assert not drawn & trained


def test_the_same_seed_draws_the_same_rows(data):
    assert np.array_equal(measurements.resample(data.pool, 100, seed=1), measurements.resample(data.pool, 100, seed=1))
    assert not np.array_equal(measurements.resample(data.pool, 100, seed=1), measurements.resample(data.pool, 100, seed=2))


def test_the_miscalibrated_instrument_changes_two_measurements_by_15_percent_and_nothing_else(data):
    changed = measurements.miscalibrate(data.pool, data.names)
    for name, before, after in zip(data.names, data.pool.T, changed.T, strict=True):
        assert np.array_equal(after, before * 1.15 if name in DRIFTED else before)
    assert set(DRIFTED) < set(data.names)


def test_a_table_holds_the_rows_exactly_under_the_measurements_names(data, tmp_path):
    measurements.write_table(data.pool, data.names, tmp_path / "pool.parquet")
    table = parquet.read_table(tmp_path / "pool.parquet")
    assert tuple(table.column_names) == data.names
    assert np.array_equal(np.column_stack([column.to_numpy() for column in table.columns]), data.pool)
