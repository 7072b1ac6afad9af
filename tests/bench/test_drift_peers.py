import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench import drift_peers
from bench.drift_shifts import SHIFTS
from bench.drift_traffic import KINDS, WINDOW_ROWS, Traffic, independent
from bench.peers import measure
from bench.peers.measure import BUDGET, RETUNED, Plan, Reading, Retuned
from bench.peers.of_scipy import BonferroniTests, kolmogorov_smirnov

ROOT = Path(__file__).parents[2]
TINY = Plan(null_baselines=1, null_windows=4, kind_baselines=1, kind_windows=2, shift_baselines=1, shift_runs=1)


def readings(windows=1_000, seed=0):
    scores = np.random.default_rng(seed).normal(size=(windows, 4))
    return [Reading({"numbers": row[:3], "missing values": np.abs(row[3:]) * 0}, {"default": False}) for row in scores]


def test_what_is_retuned_alarms_in_one_window_of_the_budget():
    retuned = Retuned(readings())
    assert retuned.rate == 1 / BUDGET
    assert np.mean([retuned.alarms(reading) for reading in readings(20_000, seed=1)]) == pytest.approx(1 / BUDGET, rel=0.5)


def test_a_kind_of_score_that_was_always_the_same_counts_from_the_first_other_one_on():
    retuned = Retuned(readings())
    quiet = np.full(3, -np.inf)
    assert retuned.alarms(Reading({"numbers": quiet, "missing values": np.array([0.001])}, {}))
    assert not retuned.alarms(Reading({"numbers": quiet, "missing values": np.array([0.0])}, {}))


def test_a_score_that_is_not_there_is_no_alarm():
    retuned = Retuned(readings())
    assert not retuned.alarms(Reading({"numbers": np.full(3, np.nan), "missing values": np.array([np.nan])}, {}))


@pytest.mark.parametrize("rows", [7, 300, 1_000])
def test_the_fast_kolmogorov_smirnov_is_that_of_scipy(rows):
    rng = np.random.default_rng(rows)
    baseline, column = rng.normal(size=5_000).round(1), rng.normal(0.1, size=rows).round(1)
    expected = stats.ks_2samp(baseline, column, method="asymp").pvalue
    assert kolmogorov_smirnov(np.sort(baseline), column) == pytest.approx(expected, rel=1e-9)


def test_a_detector_is_measured_on_what_does_not_change_and_on_what_does(monkeypatch):
    monkeypatch.setattr(measure, "KINDS", {"bursts of alike rows": KINDS["bursts of alike rows"]})
    monkeypatch.setattr(measure, "SHIFTS", {name: SHIFTS[name] for name in ("mean +0.5 sd, 1 feature", "correlation 0 → 0.2, 1 pair")})
    found = measure.measure(BonferroniTests(), TINY)
    assert found["alarms"]["bursts of alike rows"]["Bonferroni"] == 1.0
    assert found["delays"]["mean +0.5 sd, 1 feature"] == {"Bonferroni": [1], RETUNED: [1]}
    assert found["delays"]["correlation 0 → 0.2, 1 pair"]["Bonferroni"] == [measure.DELAY_LIMIT + 1]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("name", SHIFTS)
def test_every_shift_changes_something_and_keeps_the_rows(name):
    rows = Traffic(0, independent).rows(WINDOW_ROWS)
    changed = SHIFTS[name](dict(rows))
    assert changed.keys() == rows.keys()
    assert all(len(column) == WINDOW_ROWS for column in changed.values())
    assert any(not np.array_equal(changed[each], rows[each]) for each in rows)


def test_a_library_that_is_not_installed_is_left_out_and_the_page_says_so(tmp_path):
    found = drift_peers.run("river", tmp_path, install=False, quick=True)
    assert drift_peers.report(found) == "Left out: river (not installed)."
    ours = drift_peers.Figures(
        "Driftline", "this", 10, 0.01, 1.0, {"independent rows": {"alert": 0.0, RETUNED: 0.01}}, {"mean": {"alert": [1], "evidence": [1], RETUNED: [1]}}
    )
    page = drift_peers.report(drift_peers.Run({"driftline": [ours]}, found.left_out))
    assert "Left out: river (not installed)." in page
    assert "| where the thresholds were set                  |     0.010 |" in page


def figures_of(peer, delays):
    return drift_peers.Figures(peer, "this", 10, 0.01, 1.0, {"independent rows": {RETUNED: 0.01}}, delays)


def test_the_page_says_in_which_changes_others_are_ahead():
    def of_rules(*delays):
        return {rule: list(delays) for rule in ("alert", "evidence", RETUNED)}

    ours = figures_of("Driftline", {"mean": of_rules(2, 4), "variance": of_rules(1, 1), "mix": of_rules(13, 13)})
    scipy = figures_of("SciPy", {"mean": {RETUNED: [1, 3]}, "variance": {RETUNED: [1, 3]}, "mix": {RETUNED: [12, 14]}})
    (verdict,) = drift_peers._verdict([ours, scipy])
    assert "- *Driftline: retuned* is ahead of each of the others, retuned, or equal in 2 of 3 changes; behind in mean." in verdict.splitlines()


def test_a_library_that_is_measured_by_itself_leaves_the_others_as_they_are():
    known = drift_peers.Run({"scipy": [figures_of("SciPy", {})], "river": [figures_of("old", {})]}, {"alibi": "not installed"})
    found = drift_peers.Run({"river": [figures_of("new", {})], "alibi": [figures_of("alibi", {})]}, {})
    together = drift_peers._together(known, found)
    assert {name: of[0].peer for name, of in together.figures.items()} == {"scipy": "SciPy", "alibi": "alibi", "river": "new"}
    assert together.left_out == {}
    assert drift_peers._together(known, drift_peers.Run({}, {"river": "not installed"})).left_out == {"alibi": "not installed", "river": "not installed"}


def test_every_library_has_its_requirements_beside_it():
    for name in drift_peers.IN_VENVS:
        assert f"{name}" in (ROOT / "bench" / "peers" / f"requirements-{name}.txt").read_text()
        assert (ROOT / "bench" / "peers" / f"of_{name}.py").exists()


PRESET = """
import numpy as np, pandas as pd
from bench.peers.of_evidently import DataDrift
from bench.drift_traffic import Traffic, independent
from evidently import Report
from evidently.presets import DataDriftPreset
traffic = Traffic(0, independent)
baseline, window = traffic.rows(5_000), traffic.rows(1_000)
peer = DataDrift()
peer.fit(baseline, None)
scores = np.concatenate(list(peer.read(window, None).scores.values()))
metrics = Report([DataDriftPreset()]).run(pd.DataFrame(window), pd.DataFrame(baseline)).dict()["metrics"]
np.testing.assert_allclose(scores, [metric["value"] for metric in metrics[1:]])
"""


@pytest.mark.timeout(600)
def test_evidentlys_tests_alone_give_the_scores_of_its_preset():
    python = Path("/tmp/peers/evidently/bin/python")
    if not python.exists():
        pytest.skip("Evidently is not installed: python -m bench.drift_peers --install")
    finished = subprocess.run([python, "-W", "ignore", "-c", PRESET], check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert finished.returncode == 0, finished.stderr
