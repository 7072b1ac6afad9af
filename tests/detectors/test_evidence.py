import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from detectors.evidence import NO_EVIDENCE, accumulate, log_e_value, log_mean


def e_value(p_value):
    return (1 - p_value + p_value * math.log(p_value)) / (p_value * math.log(p_value) ** 2)


@given(st.floats(1e-12, 0.99))
def test_the_calibrator_is_the_published_formula(p_value):
    assert math.exp(log_e_value(p_value)) == pytest.approx(e_value(p_value), rel=1e-6)


@given(st.floats(1e-300, 1.0), st.floats(1e-300, 1.0))
def test_a_smaller_p_value_is_more_evidence(first, second):
    low, high = sorted((first, second))
    assert log_e_value(low) >= log_e_value(high) - 1e-9


def test_the_expectation_of_an_e_value_is_one_when_nothing_has_changed():
    # Over p uniform on (0, 1]; with p = e^-x the integrand has no singularity. The tail past x falls off as 1/x.
    bulk, _ = integrate.quad(lambda x: math.exp(log_e_value(math.exp(-x)) - x), 1e-9, 500, limit=200)
    assert bulk == pytest.approx(1 - 1 / 500, abs=1e-4)


def test_evidence_accumulates_as_shiryaev_and_roberts_add_it_up():
    evidence, expected = NO_EVIDENCE, 0.0
    for p_value in (0.5, 0.01, 0.2, 1e-6):
        evidence, expected = accumulate(evidence, p_value), (expected + 1) * e_value(p_value)
    assert math.exp(evidence) == pytest.approx(expected)


def test_evidence_beyond_any_float_stays_a_number():
    evidence = NO_EVIDENCE
    for _ in range(10):
        evidence = accumulate(evidence, 1e-300)
    assert 6_000 < log_mean([evidence, 0.0]) < 10_000


def test_false_alarms_are_at_least_the_threshold_apart_on_average():
    rng = np.random.default_rng(3)
    threshold, features, windows = 50.0, 4, 6_000
    alarms, evidence = 0, [NO_EVIDENCE] * features
    shared = rng.random(windows)
    own = rng.random((windows, features))
    for window in range(windows):
        p_values = own[window] if window % 2 else np.full(features, shared[window])  # dependent features too
        evidence = [accumulate(value, p_value) for value, p_value in zip(evidence, p_values, strict=True)]
        if log_mean(evidence) >= math.log(threshold):
            alarms += 1
            evidence = [NO_EVIDENCE] * features
    assert 0 < alarms <= windows / threshold
