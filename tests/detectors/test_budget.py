import pytest

from config.units import Budget
from detectors.budget import evidence_threshold


@pytest.mark.parametrize(
    ("budget", "window_seconds", "models", "threshold"),
    [
        ("1 per 30 days", 600, 1, 4_320),
        ("1 per 30 days", 600, 3, 12_960),
        ("2 per 30 days", 600, 1, 2_160),
        ("1 per 1000 windows", 600, 1, 1_000),
        ("1 per 1000 windows", 1, 4, 4_000),
        ("5 per 1 windows", 600, 1, 1),
    ],
)
def test_a_budget_is_so_many_windows_between_alerts(budget, window_seconds, models, threshold):
    assert evidence_threshold(Budget.parse(budget), window_seconds=window_seconds, models=models) == threshold
