import msgspec
import pytest

from alerts.catalogue import AlertKind
from alerts.observation import Clear, Holds
from alerts.shadow import observe_shadow
from records.verdict import DriftState, FeatureVerdict, Verdict, VerdictKind


@pytest.fixture
def verdict():
    answers = FeatureVerdict(
        feature="answers", tests={}, log_evidence=9.0, share=1.0, effect_above_floor=True, summary="1.2% of 3,000 answers differ: label 0 → 1 (30 rows)"
    )
    return Verdict(
        kind=VerdictKind.SHADOW,
        model="fraud",
        version="3",
        baseline_id="shadow candidate",
        shadow="candidate",
        index=2,
        opened_at_ns=1,
        closed_at_ns=2,
        rows=1_000,
        state=DriftState.FIRING,
        evidence=9_000.0,
        threshold=8_640.0,
        features=(answers,),
    )


def test_a_shadow_past_its_budget_is_a_ticket_that_says_how_its_answers_differ(verdict):
    observed = observe_shadow(verdict)
    assert isinstance(observed, Holds)
    assert (observed.kind, observed.labels) == (AlertKind.SHADOW_DIVERGING, {"model": "fraud", "version": "3", "shadow": "candidate"})
    assert observed.summary == "fraud (version 3): shadow candidate answers otherwise than what is served"
    assert "1.2% of 3,000 answers differ: label 0 → 1 (30 rows)" in observed.description
    assert "Evidence 9,000, budget asks 8,640" in observed.description


def test_it_is_clear_while_the_evidence_is_not_past_it(verdict):
    assert isinstance(observe_shadow(msgspec.structs.replace(verdict, state=DriftState.OK)), Clear)
