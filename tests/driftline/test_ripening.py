"""A learned baseline grows while nothing drifts, from the store, and is fixed then."""

import pytest

from driftline.ripening import Ripening, is_due
from records.verdict import DriftState
from tests.driftline.watched_site import ROWS, Site, table

LEARNED = 1_000


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path, None)
    site.ripening = Ripening(site.watching, site.traffic, lambda *entry: site.trail.append(entry))
    yield site
    site.close()


def rows_of_baseline(site):
    site.ripening.step(site.now_ns())
    return site.watching.baseline_of("fraud").rows


def test_a_learned_baseline_doubles_until_it_is_ripe(site, monkeypatch):
    monkeypatch.setattr("driftline.ripening.ROWS_AT_MOST", 2_500)
    monkeypatch.setattr("driftline.stored_baseline.ROWS_AT_MOST", 2_500)
    site.serve(table(LEARNED))
    site.serve(table(ROWS))
    assert rows_of_baseline(site) == LEARNED, "fewer rows came than it has"
    first = site.watching.baseline_of("fraud").baseline_id
    site.serve(table(LEARNED - ROWS))
    assert rows_of_baseline(site) == 2 * LEARNED
    assert site.trail == [("driftline", "ripen baseline", f"fraud: 2000 rows, in the place of baseline {first} of 1000")]
    site.serve(table(2 * ROWS))
    assert rows_of_baseline(site) == 2_500
    site.serve(table(4 * ROWS))
    assert rows_of_baseline(site) == 2_500
    assert not is_due(site.watching.saved.models["fraud"])
    assert {verdict.state for verdict in site.verdicts} == {DriftState.OK}


def test_a_restart_goes_on_with_it(site):
    site.serve(table(LEARNED))
    site.serve(table(ROWS))
    site.stop()
    site.begin()
    site.ripening = Ripening(site.watching, site.traffic, lambda *entry: site.trail.append(entry))
    site.serve(table(LEARNED))
    assert rows_of_baseline(site) >= 2 * LEARNED


def test_what_drifts_is_not_learned_nor_anything_after_it(site):
    site.serve(table(LEARNED))
    site.serve(table(LEARNED, shift=1.0))
    assert site.verdicts[-1].state is DriftState.FIRING
    assert rows_of_baseline(site) == LEARNED
    assert site.watching.saved.models["fraud"].learning_since_ns == 0, "not when it has returned either"


def test_an_accepted_baseline_does_not_grow(site):
    site.serve(table(LEARNED))
    site.serve(table(ROWS))
    site.ask(0)
    rows = site.watching.baseline_of("fraud").rows
    site.serve(table(2 * LEARNED))
    assert rows_of_baseline(site) == rows


def test_what_the_store_does_not_have_is_asked_for_again_when_more_has_come(site, monkeypatch, caplog):
    site.serve(table(LEARNED))
    site.serve(table(LEARNED))
    asked = []
    monkeypatch.setattr("driftline.stored_baseline.columns_of", lambda *args, **options: asked.append(1) or ({}, None))
    assert rows_of_baseline(site) == LEARNED
    assert "stays at 1000 rows for now: the store has nothing" in caplog.text
    assert rows_of_baseline(site) == LEARNED
    assert len(asked) == 1
    site.serve(table(LEARNED))
    assert rows_of_baseline(site) == LEARNED
    assert len(asked) == 2
