import numpy as np

from detectors.dependence import Dependence
from detectors.evidence import NO_EVIDENCE
from detectors.rates import MissingRateTest
from detectors.recovery import Return
from detectors.tally import Tally

EFFECT = MissingRateTest(100, 5_000, 1.0, 0.001)


def window(missing, rows=1_000):
    return Tally(np.array([float(rows - missing)]), missing, 0)


def test_windows_are_pooled_until_they_can_tell():
    returning = Return(EFFECT, Dependence(()).worth)
    returning.update(window(20))
    assert returning.log_evidence == NO_EVIDENCE
    assert returning.snapshot().block is not None
    for _ in range(3):
        returning.update(window(20))
    assert returning.log_evidence > 1


def test_evidence_of_return_gathers_only_once_the_effect_has_gone():
    still, gone = Return(EFFECT, Dependence(()).worth), Return(EFFECT, Dependence(()).worth)
    for _ in range(40):
        still.update(window(60))
        gone.update(window(20))
    assert still.log_evidence < 1
    assert gone.log_evidence > 20


def test_it_goes_on_from_a_snapshot():
    first = Return(EFFECT, Dependence(()).worth)
    first.update(window(20))
    second = Return(EFFECT, Dependence(()).worth, first.log_evidence, Tally.restored(first.snapshot().block))
    for _ in range(5):
        first.update(window(25))
        second.update(window(25))
    assert first.log_evidence == second.log_evidence
