import argparse
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from detectors.baseline import build_baseline, save_baseline
from detectors.tables import read_table
from driftline.commands import backtest as command

POOL = np.random.default_rng(1).lognormal(size=(400, 3))  # resampled with replacement: values repeat
NAMES = ("a", "b", "c")


def draw(rows, seed):
    sample = POOL[np.random.default_rng(seed).integers(0, len(POOL), rows)].copy()
    return {name: sample[:, index] for index, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    path = tmp_path_factory.mktemp("baseline") / "b.json"
    save_baseline(build_baseline(draw(3_000, 0), model="m", source="test", created_at_ns=0), path)
    return path


def arguments(*words):
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args([str(word) for word in words])


def write(path, columns):
    (parquet.write_table if path.suffix == ".parquet" else csv.write_csv)(pa.table(columns), path)
    return path


def backtest(capsys, baseline, table, *words):
    status = command.run(arguments("--baseline", baseline, "--table", table, "--window-rows", 500, *words))
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_table_like_the_baseline_has_no_alert(tmp_path, baseline, capsys):
    status, out, _ = backtest(capsys, baseline, write(tmp_path / "t.parquet", draw(10_000, 2)), "--json")
    result = json.loads(out)
    assert status == 0
    assert result["alerts"] == 0
    assert [window["index"] for window in result["windows"]] == list(range(20))
    assert all(window["rows"] == 500 and window["state"] == "ok" and not window["alert"] and window["features"] == [] for window in result["windows"])
    assert all(0 < window["evidence"] < window["threshold"] == 4_320 for window in result["windows"])


def test_a_change_is_alerted_in_the_features_that_changed(tmp_path, baseline, capsys):
    table = draw(8_000, 3)
    table["b"][4_000:] *= 1.4
    status, out, _ = backtest(capsys, baseline, write(tmp_path / "t.csv", table), "--json", "--budget", "1 per 1000 windows")
    result = json.loads(out)
    assert status == 0
    assert result["alerts"] == 1
    [alert] = [window for window in result["windows"] if window["alert"]]
    assert 8 <= alert["index"] <= 10
    assert alert["features"] == ["b"]
    assert alert["threshold"] == 1_000
    assert all(window["state"] == ("firing" if window["index"] >= alert["index"] else "ok") for window in result["windows"])


def test_people_get_a_table_and_what_changed(tmp_path, baseline, capsys):
    table = draw(4_000, 4)
    table["b"][2_000:] *= 1.6
    status, out, err = backtest(capsys, baseline, write(tmp_path / "t.csv", table))
    assert status == 0
    assert "ALERT     b" in out
    assert "1 alert in 8 windows; a budget of 1 per 30 days asks for evidence of 4,320" in out
    assert "  b: mean " in out
    assert "each window is taken to last 10m" in err


def test_other_statistics_can_be_tried_and_unknown_ones_are_refused(tmp_path, baseline, capsys):
    table = draw(4_000, 4)
    table["b"][2_000:] *= 1.6
    path = write(tmp_path / "t.csv", table)
    tried = {
        words: json.loads(backtest(capsys, baseline, path, "--json", *words)[1])
        for words in ((), ("--numeric-statistics", "ks"), ("--numeric-statistics", "g_test,psi"))
    }
    evidence = {tuple(window["evidence"] for window in result["windows"]) for result in tried.values()}
    assert len(evidence) == 3
    assert all(result["alerts"] == 1 for result in tried.values())
    with pytest.raises(SystemExit):
        arguments("--baseline", baseline, "--table", path, "--window-rows", 500, "--numeric-statistics", "kss")
    assert "expected ks, wasserstein, psi, jensen_shannon, hellinger, chi_squared or g_test, found 'kss'" in capsys.readouterr().err


def test_each_alert_is_explained_on_a_page_of_its_own(tmp_path, baseline, capsys):
    table = draw(4_000, 4)
    table["b"][2_000:] *= 1.6
    status, _, err = backtest(capsys, baseline, write(tmp_path / "t.csv", table), "--report", tmp_path / "reports")
    (page,) = (tmp_path / "reports").iterdir()
    assert status == 0
    assert f"wrote {page}" in err
    assert page.name == "window-4.html"
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert "<h2>b</h2>" in text
    assert "An effect is shown by: 1 window, 500 rows." in text
    assert "1970" not in text.replace("made 1970", "")  # the table has no times


@pytest.mark.parametrize("words", [("--report", "FILE"), ("--null", "--report", "FILE")])
def test_reports_that_cannot_be_written_are_refused_in_one_sentence(tmp_path, baseline, capsys, words):
    (tmp_path / "file").touch()
    against = () if "--null" in words else ("--baseline", baseline)
    words = [tmp_path / "file" if word == "FILE" else word for word in words]
    table = draw(4_000, 4)
    table["b"][2_000:] *= 1.6
    status = command.run(arguments(*against, "--table", write(tmp_path / "t.csv", table), "--window-rows", 500, *words))
    err = capsys.readouterr().err
    assert status == 2
    assert "--report" in err
    assert err.count("\n") == 1


def test_a_last_window_with_too_few_rows_is_left_over(tmp_path, baseline, capsys):
    _, out, err = backtest(capsys, baseline, write(tmp_path / "t.csv", draw(1_199, 5)), "--json")
    assert [window["rows"] for window in json.loads(out)["windows"]] == [500, 500]
    assert "199 rows after the last window" in err
    _, out, err = backtest(capsys, baseline, write(tmp_path / "t.csv", draw(1_200, 5)), "--json")
    assert [window["rows"] for window in json.loads(out)["windows"]] == [500, 500, 200]
    assert "after the last window" not in err


def test_times_of_the_rows_say_how_long_windows_last(tmp_path, baseline, capsys):
    table = write(tmp_path / "t.csv", {"at": np.linspace(1.7e9, 1.7e9 + 36_000, 5_000)} | draw(5_000, 6))  # ten hours, ten windows
    _, timed, _ = backtest(capsys, baseline, table, "--json", "--time-column", "at", "--budget", "1 per 10 days")
    _, untimed, _ = backtest(capsys, baseline, table, "--json", "--budget", "1 per 10 days")
    timed_windows, untimed_windows = json.loads(timed)["windows"], json.loads(untimed)["windows"]
    assert timed_windows[0]["threshold"] == untimed_windows[0]["threshold"] == pytest.approx(10 * 24 * 6)
    ratio = timed_windows[0]["evidence"] / untimed_windows[0]["evidence"]
    assert ratio == pytest.approx(6, rel=0.01)  # an hour is six windows of ten minutes


def test_features_that_the_table_lacks_count_as_missing_and_are_named(tmp_path, baseline, capsys):
    table = draw(1_000, 7)
    del table["c"]
    status, out, err = backtest(capsys, baseline, write(tmp_path / "t.csv", table), "--json")
    assert status == 0
    assert "lacks 1 of the baseline's 3 features, which count as missing: c" in err
    assert json.loads(out)["windows"][-1]["features"] == ["c"]


@pytest.mark.parametrize(
    ("columns", "words", "complaint"),
    [
        ({"z": [1.0] * 300}, (), "has none of the features of the baseline"),
        ({"a": [1.0] * 300, "at": [5] * 300}, ("--time-column", "at"), "all rows have the same time in 'at'"),
        ({"a": [1.0] * 300}, ("--time-column", "at"), "there is no column 'at'"),
        ({"a": [], "b": []}, (), "has no rows"),
        ({"a": ["word"] * 300}, (), "'word'"),
    ],
)
def test_a_table_that_cannot_be_tested_is_refused_in_one_sentence(tmp_path, baseline, capsys, columns, words, complaint):
    status, out, err = backtest(capsys, baseline, write(tmp_path / "t.csv", columns), "--json", *words)
    assert status == 2
    assert out == ""
    assert complaint in err
    assert err.count("\n") == 1


def test_an_absent_baseline_is_refused_in_one_sentence(tmp_path, capsys):
    status, out, err = backtest(capsys, tmp_path / "absent.json", write(tmp_path / "t.csv", draw(500, 8)))
    assert (status, out) == (2, "")
    assert "cannot read the baseline" in err
    assert err.count("\n") == 1


def null(capsys, table, *words):
    status = command.run(arguments("--null", "--table", table, "--window-rows", 200, "--baseline-rows", 2_000, "--budget", "1 per 10 windows", *words))
    told = capsys.readouterr()
    return status, told.out, told.err


def test_people_learn_whether_the_budget_holds_on_their_own_rows(tmp_path, capsys):
    table = draw(12_000, 9)
    table["b"][6_000:] *= 2  # drift in the table is shuffled away
    status, out, _ = null(capsys, write(tmp_path / "t.parquet", table), "--json")
    result = json.loads(out)
    assert status == 0
    assert result["windows"] >= 100
    assert result["windows"] / 10 == result["allowed"]
    assert result["alerts"] <= result["bound"]
    status, out, _ = null(capsys, tmp_path / "t.parquet")
    assert status == 0
    assert "A budget of 1 per 10 windows allows" in out
    assert "within the budget" in out


def test_a_table_too_short_to_tell_is_refused_in_one_sentence(tmp_path, capsys):
    status, out, err = null(capsys, write(tmp_path / "t.csv", draw(3_000, 9)))
    assert (status, out) == (2, "")
    assert "need 5,200 rows, and the table has 3,000" in err


@pytest.mark.parametrize("words", [("--window-rows", "9"), ("--window-rows", "many"), ("--window-rows", "500", "--budget", "rarely")])
def test_a_wrong_question_is_refused_by_the_parser(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        arguments("--baseline", "b.json", "--table", "t.csv", *words)
    assert stopped.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_vectors_texts_and_timestamps_of_a_table_are_tested_and_ages_need_the_time_of_rows(tmp_path, capsys):
    def table(rows, seed, moved=0.0):
        rng = np.random.default_rng(seed)
        asked = np.datetime64("2026-03-01T00:00:00", "us") + np.arange(rows) * np.timedelta64(1, "s")
        return {
            "asked": asked,
            "made": asked - (rng.exponential(60, rows) * 1e6).astype("timedelta64[us]"),
            "embedding": pa.array((rng.normal(size=(rows, 140)) + moved).tolist(), pa.list_(pa.float32())),
            "note": [" ".join(rng.choice(["one", "two", "three", "four", "five", "six"], 6)) for _ in range(rows)],
        }

    columns = read_table(write(tmp_path / "then.parquet", table(2_000, 1)), time_column="asked")
    baseline = build_baseline(columns.columns, model="m", source="test", created_at_ns=0, times_ns=columns.times_ns)
    save_baseline(baseline, tmp_path / "b.json")
    now = write(tmp_path / "now.parquet", table(2_000, 2, moved=0.5))
    assert "has the age of timestamps, so every row needs its time" in backtest(capsys, tmp_path / "b.json", now)[2]
    status, out, notes = backtest(capsys, tmp_path / "b.json", now, "--json", "--time-column", "asked", "--budget", "1 per 1000 windows")
    result = json.loads(out)
    assert (status, notes, result["alerts"]) == (0, "", 1)
    assert "embedding" in result["windows"][-1]["features"]
    assert not {"made.age_seconds", "note.out_of_vocabulary", "note.length"} & set(result["windows"][-1]["features"])
    absent = write(tmp_path / "absent.parquet", {"x": np.zeros(600)})
    assert "has none of the features" in backtest(capsys, tmp_path / "b.json", absent)[2]
