import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from bench import drift_real
from bench.drift_real import IMAGE_SHIFTS, STREAMS, Data, Sample

DIGITS = Data(load_digits().data, load_digits().target)


def sample(seed=0, rows=100):
    return drift_real._draw(DIGITS, rows, np.random.default_rng(seed))


@pytest.mark.parametrize("name", IMAGE_SHIFTS)
def test_a_shifted_image_is_an_image(name):
    values = IMAGE_SHIFTS[name](sample())
    assert values.shape == (100, 64)
    assert values.min() >= 0
    assert values.max() <= 16
    assert np.array_equal(values, values.round())


def test_what_is_called_none_changes_nothing_and_large_noise_does():
    drawn = sample()
    assert np.array_equal(IMAGE_SHIFTS["none"](drawn), drawn.data.values)
    changed = (IMAGE_SHIFTS["large noise, half of the images"](drawn) != drawn.data.values).any(axis=1)
    assert 30 < changed.sum() < 70


def test_a_class_that_is_knocked_out_is_gone():
    pool = Data(np.arange(10.0)[:, None], np.arange(10) % 2)
    drawn = Sample(pool, pool, np.random.default_rng(0))
    assert set(drift_real._without_class(0, 1.0)(drawn).ravel() % 2) == {1.0}


def test_a_stream_tells_false_alarms_and_delays_of_both():
    cancer = load_breast_cancer()
    found = drift_real._stream("breast cancer", Data(cancer.data[:, :4], cancer.target), splits=1, windows=3)
    assert [each.change for each in found] == list(STREAMS["breast cancer"][2])
    rules = {"Driftline: alert", "Driftline: evidence", "Driftline: retuned", "SciPy: Bonferroni", "SciPy: retuned"}
    assert all(each.delays.keys() == each.quiet.keys() == rules for each in found)
    text = drift_real.report(drift_real.Figures(found, [], {"Phishing": "river is not installed"}))
    assert "all sizes +10%" in text
    assert text.endswith("Left out: Phishing (river is not installed).")
