"""A feature that is redacted is no drift, whatever it was in the baseline."""

import numpy as np
import pytest

from config.redaction import Place
from config.settings import DriftSettings, RedactionSettings, RouteSettings
from config.units import Budget
from detectors.baseline import build_baseline
from driftline.model_watch import ModelName, ModelWatch
from driftline.redacted import NOTHING, unwatched, watched_part
from records.payload import Decoded, Tensor
from records.verdict import DriftState

ROWS = 2_000


def redacting(*places: str):
    return unwatched([RouteSettings(upstream=(), redact=tuple(RedactionSettings(at=Place.parse(place)) for place in places))])


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("tensor:ssn", {"ssn", "ssn[3]", "output.ssn"}),
        ("$.rows[*].ssn", {"ssn", "ssn[3]", "output.ssn", "customer.ssn", "ssn.part"}),
        ("$.a[0]", {"a"}),
        ("?ssn", set()),
        ("header:ssn", set()),
    ],
)
def test_features_are_found_by_the_name_of_what_is_redacted(place: str, names: set[str]) -> None:
    matched = redacting(place)
    assert all(matched.fullmatch(name) for name in names)
    assert not any(matched.fullmatch(name) for name in ("", "x", "ssnx", "xssn", "output.x"))


def test_where_nothing_is_redacted_everything_is_watched() -> None:
    assert not NOTHING.fullmatch("")
    assert not redacting().fullmatch("x")


def baseline():
    rng = np.random.default_rng(1)
    return build_baseline({"x": rng.normal(size=ROWS), "ssn": rng.normal(size=ROWS)}, model="m", source="test", created_at_ns=1)


def watched(redacted, *, values: float = 0.0) -> ModelWatch:
    """Return a watch that has seen rows whose `ssn` is masked, or missing where `values` is NaN."""
    watch = ModelWatch(
        ModelName("m", ""), DriftSettings(budget=Budget.parse("1 per 1000 windows"), window_rows=200), baseline(), redacted, on_rows=lambda _: None
    )
    watch.set_threshold(1_000.0)
    rng = np.random.default_rng(2)
    for _ in range(10):
        numbers = rng.normal(size=200).tolist()
        masked = [] if np.isnan(values) else [Tensor("ssn", "FP32", (200,), [values] * 200)]
        watch.columns.add(Decoded("v2", [Tensor("x", "FP32", (200,), numbers), *masked]), Decoded("v2", []), 1)
        watch.step(1)
    return watch


@pytest.mark.parametrize("values", [0.0, np.nan])
def test_what_is_masked_or_dropped_is_not_alarmed_as_drift(values: float) -> None:
    assert watched(NOTHING, values=0.0).status(0).state is DriftState.FIRING, "the test cannot fail"
    status = watched(redacting("tensor:ssn"), values=values).status(0)
    assert (status.state, status.windows) == (DriftState.OK, 10)
    assert [feature.feature for feature in status.last_verdict.features] == ["x"]


def test_a_model_all_of_whose_features_are_redacted_is_never_alarmed() -> None:
    status = watched(redacting("tensor:ssn", "tensor:x")).status(0)
    assert (status.state, status.windows) == (DriftState.OK, 10)


def test_a_rule_that_comes_or_goes_begins_the_evidence_anew() -> None:
    for before, after in [(NOTHING, redacting("tensor:ssn")), (redacting("tensor:ssn"), NOTHING)]:
        former = watched(before).state()
        watch = ModelWatch(ModelName("m", ""), DriftSettings(), baseline(), after, on_rows=lambda _: None)
        watch.resume(former)
        assert watch.status(0).windows == 0
    watch = ModelWatch(ModelName("m", ""), DriftSettings(), baseline(), before, on_rows=lambda _: None)
    watch.resume(former)
    assert watch.status(0).windows == 10


def test_a_baseline_without_redacted_features_is_the_same_one() -> None:
    whole = baseline()
    assert watched_part(whole, redacting("tensor:other")) is whole
    assert watched_part(whole, redacting("tensor:ssn")).baseline_id != whole.baseline_id
