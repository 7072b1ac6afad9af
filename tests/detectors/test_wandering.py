import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.dependence import Dependence
from detectors.tally import Tally
from detectors.wandering import Wandering

BASELINE = Tally(np.array([400.0, 400.0, 200.0]), 0.0, 0.0)
SLOW = Dependence(((5_000.0, 20.0),))


def window(*counts, absent=0.0):
    return Tally(np.array(counts, dtype=float), absent, 0.0)


def test_without_dependence_a_window_is_its_own_news():
    wandering = Wandering(BASELINE, Dependence(()))
    for _ in range(3):
        news = wandering.news(window(500, 400, 50, absent=50))
        assert news.tally.counts.tolist() == pytest.approx([500, 400, 50])
        assert (news.tally.absent, news.remaining) == (50, 1.0)


def test_rows_that_are_alike_within_a_window_only_make_it_worth_fewer():
    news = Wandering(BASELINE, Dependence(((1.0, 3.0),))).news(window(500, 400, 100))
    assert news.tally.rows == pytest.approx(1_000 / 4, rel=0.01)
    assert news.tally.counts / news.tally.rows == pytest.approx([0.5, 0.4, 0.1])


def test_a_deviation_that_lasts_is_foretold_in_part_and_the_rest_still_shows():
    wandering = Wandering(BASELINE, SLOW)
    shares = [wandering.news(window(500, 400, 100)) for _ in range(50)]
    shown = [float(news.tally.counts[0] / news.tally.rows) - 0.4 for news in shares]
    assert shown[0] == pytest.approx(0.1)
    assert shown == sorted(shown, reverse=True)
    assert 0.005 < shown[-1] < 0.05
    assert shown == pytest.approx([0.1 * news.remaining for news in shares])


def test_news_is_worth_more_rows_than_the_window_alone():
    wandering = Wandering(BASELINE, SLOW)
    rows = [wandering.news(window(400, 400, 200)).tally.rows for _ in range(20)]
    assert rows[0] == pytest.approx(SLOW.independent(1_000))
    assert rows[-1] > 1.5 * rows[0]


def test_news_of_a_wandering_mean_has_no_memory():
    rng = np.random.default_rng(1)
    correlation, deviation = 0.8, 0.1
    memory = -1_000 / np.log(correlation)
    variance_of_a_row = 0.25
    dependence = Dependence(((memory, 2 * memory * deviation**2 / variance_of_a_row),))  # as if the mean went on wandering within a window
    wandering = Wandering(Tally(np.array([500.0, 500.0]), 0.0, 0.0), dependence)
    mean, seen = 0.0, []
    for _ in range(3_000):
        mean = correlation * mean + np.sqrt(1 - correlation**2) * deviation * rng.normal()
        below = rng.binomial(1_000, min(1.0, max(0.0, 0.5 + mean)))
        news = wandering.news(window(below, 1_000 - below))
        seen.append((float(news.tally.counts[0]) / news.tally.rows - 0.5) * np.sqrt(news.tally.rows / variance_of_a_row))
    scores = np.array(seen)
    assert abs(np.corrcoef(scores[1:], scores[:-1])[0, 1]) < 0.15
    assert 0.8 < scores.std() < 1.25


@given(
    windows=st.lists(st.tuples(*[st.integers(0, 300)] * 4).filter(any), min_size=1, max_size=8),
    excess=st.floats(0, 50),
    memory=st.floats(1, 1e5),
)
def test_whatever_comes_news_is_a_tally_of_at_most_the_windows_rows(windows, excess, memory):
    wandering = Wandering(BASELINE, Dependence(((memory, excess),)))
    for *counts, absent in windows:
        tally, remaining = wandering.news(window(*counts, absent=absent))
        assert tally.counts.min() >= 0
        assert tally.absent >= 0
        assert 0 < tally.rows <= (sum(counts) + absent) * (1 + 1e-9)
        assert 0 < remaining <= 1


def test_a_restart_goes_on_with_what_was_expected():
    first, second = Wandering(BASELINE, SLOW), Wandering(BASELINE, SLOW)
    assert first.snapshot() is None
    for _ in range(5):
        first.news(window(500, 400, 100))
    second.restore(first.snapshot())
    ours, theirs = first.news(window(450, 400, 150)), second.news(window(450, 400, 150))
    assert ours.tally.counts.tolist() == theirs.tally.counts.tolist()
    assert ours.remaining == theirs.remaining
