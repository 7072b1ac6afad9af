import msgspec
import pytest

import driftline.shadow_watching as module
from config.settings import DriftSettings, RouteSettings, ShadowSettings
from config.units import Share
from detectors.budget import SharedBudget
from driftline.shadow_watching import ShadowWatching, tolerances_of
from records.exchange import Exchange, Role
from records.payload import Decoded, Tensor
from records.verdict import DriftState, VerdictKind

SETTINGS = DriftSettings(window_rows=100, window_time=60)
TOLERANCES = {("default", "candidate"): 0.005}
SECOND = 10**9


def said(value):
    return Decoded("v2", [Tensor("label", "INT64", (1,), [value])])


def exchange(number, role, arm, route="default"):
    return Exchange(number.to_bytes(16, "big"), "", role, route, arm, 0, "POST", "/v2/models/m/infer", status=200)


@pytest.fixture
def budget():
    return SharedBudget(SETTINGS.budget, SETTINGS.window_time)


@pytest.fixture
def watching(budget):
    return ShadowWatching(SETTINGS, TOLERANCES, budget)


def pairs(watching, numbers, differs=lambda _: False, *, model="fraud", arm="candidate", now_ns=SECOND):
    """Feed pairs; return the windows that closed."""
    closed = []
    for number in numbers:
        closed += watching.add(exchange(number, Role.SERVED, "upstream"), said(0), model, "3", now_ns)
        closed += watching.add(exchange(number, Role.SHADOW, arm), said(int(differs(number))), "", "", now_ns)
    return closed


def test_a_window_closes_at_its_number_of_pairs(watching):
    assert pairs(watching, range(99)) == []
    (result,) = pairs(watching, range(99, 100))
    assert (result.comparison.model, result.comparison.version, result.comparison.shadow, result.comparison.compared) == ("fraud", "3", "candidate", 100)
    assert (result.verdict.kind, result.verdict.rows, result.verdict.state) == (VerdictKind.SHADOW, 100, DriftState.OK)


def test_a_window_closes_after_its_time(watching):
    pairs(watching, range(10))
    assert watching.step(60 * SECOND) == []
    (result,) = watching.step(61 * SECOND)
    assert result.comparison.compared == 10
    assert watching.step(200 * SECOND) == []  # nothing is in it


def test_a_shadow_that_differs_is_said_to_and_how(watching):
    results = pairs(watching, range(500), lambda number: number % 5 == 0)
    assert any(result.verdict.alert for result in results)
    (status,) = watching.statuses()
    assert (status.state, status.compared, status.agreed, status.agreement_ratio) == (DriftState.FIRING, 500, 400, 0.8)
    assert "label 0 → 1 (20 rows)" in status.summary
    assert status.last.disagreements[0].text == "label: 0 → 1"
    assert status.evidence_ratio > 1


def test_models_and_shadows_are_watched_apart(budget):
    watching = ShadowWatching(SETTINGS, TOLERANCES | {("default", "other"): 0.1}, budget)
    pairs(watching, range(10))
    pairs(watching, range(10, 20), model="churn")
    pairs(watching, range(20, 30), arm="other")
    assert [(status.model, status.arm, status.tolerance) for status in watching.statuses()] == [
        ("fraud", "candidate", 0.005),
        ("churn", "candidate", 0.005),
        ("fraud", "other", 0.1),
    ]
    assert {status.threshold for status in watching.statuses()} == {budget.threshold("shadows", 3)}


def test_what_became_of_every_reply_is_counted(watching, monkeypatch):
    monkeypatch.setattr(module, "WATCHED_AT_MOST", 1)
    pairs(watching, range(10), lambda number: number < 3)
    pairs(watching, range(10, 12), model="one too many")
    pairs(watching, range(12, 13), arm="not in the settings")
    counters = watching.counters()
    name = "driftline_shadow_pairs_total", "default", "fraud", "candidate"
    assert (counters[*name, "agreed"], counters[*name, "differed"], counters[*name, "unreadable"]) == (7, 3, 0)
    assert counters["driftline_shadow_unpaired_total",] == 3


def test_a_restart_keeps_the_evidence_of_shadows_that_are_still_there(watching, budget):
    pairs(watching, range(300), lambda number: number % 50 == 0)
    states = msgspec.msgpack.decode(msgspec.msgpack.encode(watching.states()), type=tuple[module.ShadowWatchState, ...])
    again = ShadowWatching(SETTINGS, TOLERANCES, budget, states)
    (status,) = again.statuses()
    assert (status.windows, status.last.compared) == (3, 100)
    after, unbroken = (pairs(each, range(300, 400), lambda number: number % 50 == 0)[0].verdict for each in (again, watching))
    assert after == unbroken
    assert ShadowWatching(SETTINGS, {("default", "another"): 0.1}, budget, states).statuses() == ()


def test_a_shadow_with_another_schema_is_said_once_a_window(watching, caplog):
    for number in range(100):
        watching.add(exchange(number, Role.SERVED, "upstream"), said(0), "fraud", "3", SECOND)
        watching.add(exchange(number, Role.SHADOW, "candidate"), Decoded("v2", [Tensor("class", "INT64", (1,), [0])]), "", "", SECOND)
    assert [record.message for record in caplog.records] == [
        "shadow candidate of route default has no output with the name and shape of one that is served: it is not compared"
    ]
    assert watching.statuses()[0].summary == "no answers to compare"


def test_tolerances_are_those_of_the_settings():
    shadows = (ShadowSettings(url=(), name="candidate"), ShadowSettings(url=(), name="other", tolerance=Share(0.1)))
    assert tolerances_of([RouteSettings(name="r", upstream=(), shadows=shadows)]) == {("r", "candidate"): 0.0025, ("r", "other"): 0.1}
