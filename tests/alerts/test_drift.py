"""Verdicts to observations."""

from alerts.catalogue import AlertKind
from alerts.drift import DriftWatch
from alerts.observation import Clear, Holds
from records.verdict import DriftState

MINUTE_NS = 60_000_000_000


def test_a_firing_verdict_says_what_drifted_by_how_much_and_since_when(make_verdict, noon_ns):
    assert DriftWatch({}).observe(make_verdict()) == Holds(
        kind=AlertKind.MODEL_DATA_DRIFT,
        labels={"model": "fraud", "version": "3"},
        started_at_ns=noon_ns,
        summary="fraud (version 3): data drift in mean area, worst area",
        description="The data of fraud (version 3) differ from baseline 00ff00ff00ff00ff (5,000 rows of fraud.csv, made 2025-11-01T09:00:00.000Z) since 2025-11-20T12:00:00.000Z.\n"
        "Evidence 12,300, budget asks 4,320; 1,000 rows in the window that closed 2025-11-20T12:01:00.000Z.\n"
        "mean area: mean 654 → 752 (+0.28 sd), 62% of the evidence\n"
        "worst area: mean 654 → 752 (+0.28 sd), 36% of the evidence",
        features=("mean area", "worst area"),
        path="/api/v1/models/fraud",
        report_path="/api/v1/models/fraud/windows/0/report?baseline=00ff00ff00ff00ff",
        picture_path="/api/v1/models/fraud/windows/0/picture?baseline=00ff00ff00ff00ff",
    )


def test_a_verdict_that_does_not_fire_is_clear(make_verdict):
    for state in (DriftState.OK, DriftState.LEARNING):
        assert isinstance(DriftWatch({}).observe(make_verdict(state=state)), Clear)


def test_drift_began_with_the_first_window_of_the_run_that_shows_its_effect(make_verdict, noon_ns):
    watch = DriftWatch({})
    for index, shares in enumerate([{"mean area": 0.9}, {"mean area": 0.0}, {"mean area": 0.9}, {"mean area": 0.9}]):
        watch.observe(make_verdict(index, shares=shares, state=DriftState.OK))
    assert watch.observe(make_verdict(4, shares={"mean area": 0.9})).started_at_ns == noon_ns + 2 * MINUTE_NS


def test_the_effect_of_a_feature_that_carries_no_evidence_does_not_date_the_drift(make_verdict, noon_ns):
    watch = DriftWatch({})
    watch.observe(make_verdict(0, shares={"noisy": 0.005}, state=DriftState.OK))
    observation = watch.observe(make_verdict(1, shares={"mean area": 0.95, "noisy": 0.005}))
    assert observation.features == ("mean area",)
    assert observation.started_at_ns == noon_ns + MINUTE_NS


def test_models_are_dated_apart_and_a_restart_forgets_nothing(make_verdict, noon_ns):
    watch = DriftWatch({})
    watch.observe(make_verdict(0, state=DriftState.OK))
    watch.observe(make_verdict(1, model="churn", state=DriftState.OK))
    watch = DriftWatch(watch.onsets)
    assert watch.observe(make_verdict(2)).started_at_ns == noon_ns
    assert watch.observe(make_verdict(2, model="churn")).started_at_ns == noon_ns + MINUTE_NS


def test_a_model_without_effects_is_not_remembered(make_verdict):
    watch = DriftWatch({})
    watch.observe(make_verdict(0))
    watch.observe(make_verdict(1, shares={"mean area": 0.0}, state=DriftState.OK))
    assert watch.onsets == {}


def test_many_features_are_named_up_to_a_bound(make_verdict):
    observation = DriftWatch({}).observe(make_verdict(shares={f"f{index}": 1 / 16 for index in range(16)}))
    assert observation.summary == "fraud (version 3): data drift in f0, f1, f2 and 13 more"
    assert observation.description.endswith("f9: mean 654 → 752 (+0.28 sd), 6% of the evidence\nand 6 more features")
    assert len(observation.features) == 16


def test_an_alert_that_no_feature_carries_any_more_can_still_be_told(make_verdict):
    observation = DriftWatch({}).observe(make_verdict(shares={}, version=""))
    assert observation.summary == "fraud: data drift in no single feature"
    assert observation.picture_path == ""


def test_a_model_with_an_awkward_name_has_a_path_that_works(make_verdict):
    observation = DriftWatch({}).observe(make_verdict(model="team/fraud?"))
    assert observation.path == "/api/v1/models/team%2Ffraud%3F"
    assert observation.report_path.startswith("/api/v1/models/team%2Ffraud%3F/windows/0/report?")
