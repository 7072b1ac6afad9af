from __future__ import annotations

from bench.width import Figure, measure, report


def test_models_are_measured_each_with_memory_of_its_own():
    few, many = measure(12, (1, 10))
    assert (few.features, few.models, many.models) == (12, 1, 10)
    assert few.model_bytes is None
    assert many.model_bytes > 12 * 1_000
    assert min(few.row_us, few.window_ms, few.calibration_ms) > 0


def test_the_report_tells_what_grows_faster_than_the_features():
    cells = [Figure(10, 1, 5.0, 5.0, None, 1.0), Figure(30, 10, 3.0, 3.0, 30_000.0, 1.0), Figure(100, 10, 10.0, 30.0, 150_000.0, 1.0)]
    rows, windows, memory = report(cells).splitlines()[-3:]
    assert "at most 1.00 times" in rows
    assert "at most 3.00 times" in windows
    assert windows.endswith("NOT kept")
    assert "at most 1.50 times" in memory
    assert memory.endswith("), kept")
