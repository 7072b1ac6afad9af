import msgspec
import pytest

from runtime.tools.comparison import Comparison, Cost, Limits, refusals
from runtime.tools.predictions import Metric
from runtime.tools.report import as_text

COST = Cost(size_bytes=100_000, compressed_bytes=90_000, load_seconds=0.01, latency_seconds={1: 1e-4, 32: 4e-4})
FASTER = Cost(size_bytes=30_000, compressed_bytes=20_000, load_seconds=0.01, latency_seconds={1: 0.5e-4, 32: 5e-4})


def comparison(**changed):
    fields = {"rows": 10, "rows_from": "rows.csv", "original": COST, "candidate": FASTER, "largest_difference_ratio": {"p": 0.01}, "agreement_ratio": 0.98}
    fields |= {"original_metric": Metric("accuracy", 0.95, True), "candidate_metric": Metric("accuracy", 0.93, True)}
    return Comparison(**fields | changed)


def test_without_limits_everything_finite_is_accepted():
    assert list(refusals(comparison(), Limits())) == []


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(agreement_ratio=0.99), "98.00% of the rows keep their class (at least 99.00%: --agreement)"),
        (Limits(difference_ratio=0.001), "the output 'p' differs by 0.01 of its largest magnitude (at most 0.001: --difference)"),
        (Limits(metric_loss=0.01), "its accuracy is 0.93, the original's 0.95 (worse by at most 0.01: --metric-loss)"),
        (Limits(slowdown_ratio=1.1), "it takes 1.25 times the time of the original (at most 1.1: --slowdown)"),
    ],
)
def test_each_limit_refuses_with_the_figure_and_the_option(limits, reason):
    assert list(refusals(comparison(), limits)) == [reason]


def test_limits_that_are_just_kept_accept():
    limits = Limits(agreement_ratio=0.98, difference_ratio=0.01, metric_loss=0.03, slowdown_ratio=1.25)
    assert list(refusals(comparison(), limits)) == []


def test_what_is_not_finite_is_refused_whatever_the_limits():
    assert list(refusals(comparison(largest_difference_ratio={"p": float("inf")}), Limits())) == [
        "the output 'p' is not finite, or not of the same shape, where the original's is"
    ]


def test_an_error_that_grows_is_a_loss():
    errors = {"original_metric": Metric("root mean squared error", 1.0, False), "candidate_metric": Metric("root mean squared error", 1.2, False)}
    assert [reason.partition(" is ")[0] for reason in refusals(comparison(**errors), Limits(metric_loss=0.1))] == ["its root mean squared error"]


def test_the_report_has_every_figure_and_survives_json():
    text = as_text(comparison())
    for piece in (
        "100.0",
        "30.0",
        "0.30",
        "time of 1 row, µs",
        "time of 32 rows, µs",
        "1.25",
        "accuracy",
        "0.9300",
        "98.00%",
        "'p': 0.01",
        "10 rows: rows.csv",
    ):
        assert piece in text
    assert msgspec.json.decode(msgspec.json.encode(comparison()), type=Comparison) == comparison()
