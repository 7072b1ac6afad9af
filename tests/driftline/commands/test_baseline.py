import argparse

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from detectors.baseline import BaselineError, load_baseline
from driftline.commands import baseline as command
from driftline.stored_exchanges import Period


def arguments(*words):
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args([str(word) for word in words])


def table(rows=300):
    return pa.table({"x": np.arange(float(rows)), "level": ["a", "b"] * (rows // 2), "label": [0] * rows})


@pytest.fixture
def rows_csv(tmp_path):
    csv.write_csv(table(), tmp_path / "rows.csv")
    return tmp_path / "rows.csv"


def test_a_table_becomes_a_baseline(tmp_path, rows_csv, capsys):
    out = tmp_path / "b.json"
    assert command.run(arguments("--model", "fraud", "--version", "3", "--from", rows_csv, "--out", out, "--exclude", "label")) == 0
    baseline = load_baseline(out, model="fraud")
    assert (baseline.version, baseline.rows, baseline.source) == ("3", 300, "rows.csv")
    assert [feature.name for feature in baseline.features] == ["x", "level"]
    told = capsys.readouterr()
    assert "300 rows of fraud, 1 numeric and 1 categorical features" in told.out
    assert "sees only large changes" in told.out
    assert told.err == ""


def test_csv_and_parquet_give_the_same_features(tmp_path, rows_csv):
    parquet.write_table(table(), tmp_path / "rows.parquet")
    for source in (rows_csv, tmp_path / "rows.parquet"):
        assert command.run(arguments("--model", "m", "--from", source, "--out", tmp_path / f"{source.suffix}.json")) == 0
    assert load_baseline(tmp_path / ".csv.json").baseline_id == load_baseline(tmp_path / ".parquet.json").baseline_id


def test_columns_that_are_no_features_are_left_out_and_named(tmp_path, capsys):
    parquet.write_table(pa.table({"x": np.arange(200.0), "raw": pa.array([b"x"] * 200)}), tmp_path / "t.parquet")
    assert command.run(arguments("--model", "m", "--from", tmp_path / "t.parquet", "--out", tmp_path / "b.json")) == 0
    assert "left out, since they are neither numbers nor text: raw (binary)" in capsys.readouterr().err


def test_timestamps_are_watched_where_the_time_of_the_rows_is_known(tmp_path, capsys):
    moments = pa.array(range(200), pa.timestamp("s"))
    parquet.write_table(pa.table({"x": np.arange(200.0), "made": moments, "asked": moments}), tmp_path / "t.parquet")
    assert command.run(arguments("--model", "m", "--from", tmp_path / "t.parquet", "--out", tmp_path / "b.json")) == 0
    assert "timestamps are not watched, since nothing says when the rows were: made, asked; name that column with --time-column" in capsys.readouterr().err
    assert command.run(arguments("--model", "m", "--from", tmp_path / "t.parquet", "--time-column", "asked", "--out", tmp_path / "b.json")) == 0
    assert "timestamps" not in capsys.readouterr().err
    assert [feature.name for feature in load_baseline(tmp_path / "b.json").features] == ["x", "made.age_seconds"]


def test_rows_that_are_alike_are_told(tmp_path, capsys):
    csv.write_csv(pa.table({"x": np.repeat(np.random.default_rng(1).normal(size=100), 30)}), tmp_path / "t.csv")
    assert command.run(arguments("--model", "m", "--from", tmp_path / "t.csv", "--out", tmp_path / "b.json")) == 0
    assert "neighbouring rows are alike: x is as noisy as" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words", "complaint"),
    [
        ("x\n1\n2\n", (), "needs at least 100 rows"),
        ("x\n" + "1\n" * 200, ("--exclude", "y"), "there is no column 'y'"),
        ("x\n" + "1\n" * 200, ("--exclude", "x"), "has no column of numbers or text"),
        ("x\n" + "1\n" * 200, ("--since", "2026-01-01"), "give them with --from-store"),
        ("x\n" + "1\n" * 200, ("--cycle", "day"), "name its column with --time-column"),
        ("x,t\n" + "1,5\n" * 200, ("--cycle", "day", "--time-column", "t"), "a cycle of a day is learned from 2 of them or more"),
    ],
)
def test_a_table_that_gives_no_baseline_is_refused_in_one_sentence(tmp_path, capsys, content, words, complaint):
    (tmp_path / "t.csv").write_text(content)
    assert command.run(arguments("--model", "m", "--from", tmp_path / "t.csv", "--out", tmp_path / "b.json", *words)) == 2
    told = capsys.readouterr()
    assert complaint in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not (tmp_path / "b.json").exists()


def test_the_store_is_read_for_the_period_that_was_asked_for(tmp_path, monkeypatch):
    asked = []

    def columns_from_store(settings, period):
        asked.append((settings.data_dir, period))
        return {"x": np.arange(200.0), "secret": np.zeros(200)}, np.arange(200)

    monkeypatch.setattr(command, "columns_from_store", columns_from_store)
    monkeypatch.setattr(command, "pairs_from_store", lambda settings, period: asked.append((settings.data_dir, period)) or [("1", "1")] * 499)
    given = arguments(
        *("--model", "m", "--from-store", "--since", "2026-01-01", "--until", "2026-01-02T00:00+02:00"),
        *("--data-dir", tmp_path, "--out", tmp_path / "b.json", "--exclude", "secret"),
    )
    assert command.run(given) == 0
    assert asked == [(str(tmp_path), Period("m", "", 1_767_225_600 * 10**9, (1_767_312_000 - 7_200) * 10**9))] * 2
    baseline = load_baseline(tmp_path / "b.json")
    assert ([feature.name for feature in baseline.features], baseline.source) == (["x"], "store")


def test_a_store_without_the_model_is_told(tmp_path, monkeypatch, capsys):
    def columns_from_store(*_):
        raise BaselineError("the store has no rows of the model 'm'")

    monkeypatch.setattr(command, "columns_from_store", columns_from_store)
    assert command.run(arguments("--model", "m", "--from-store", "--out", tmp_path / "b.json")) == 2
    assert "the store has no rows of the model 'm'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--from", "a.csv", "--from-store"], ["--from", "a.csv", "--since", "yesterday"]])
def test_a_wrong_question_is_refused_by_the_parser(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        arguments("--model", "m", "--out", "b.json", *words)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_baseline_with_a_cycle_knows_every_hour_of_it(tmp_path):
    lines = [f"{hour * 3600 + row},{hour % 24}" for hour in range(72) for row in range(50)]
    (tmp_path / "t.csv").write_text("t,x\n" + "\n".join(lines) + "\n")
    words = ("--from", tmp_path / "t.csv", "--cycle", "day", "--time-column", "t", "--out", tmp_path / "b.json")
    assert command.run(arguments("--model", "m", *words)) == 0
    baseline = load_baseline(tmp_path / "b.json")
    assert baseline.cycle_seconds == 86_400
    assert [sum(each.counts) for each in baseline.features[0].slices] == [150] * 24


def labelled_table(rows=600):
    wrong = np.arange(rows) % 10 == 0
    return pa.table({"x": np.arange(float(rows)), "said": ["a"] * rows, "truth": np.where(wrong, "b", "a"), "score": np.linspace(0, 1, rows)})


def test_a_table_with_labels_gives_the_risk_and_no_feature_of_them(tmp_path, capsys):
    parquet.write_table(labelled_table(), tmp_path / "t.parquet")
    words = ("--model", "m", "--from", tmp_path / "t.parquet", "--out", tmp_path / "b.json", "--label", "truth", "--prediction", "said")
    assert command.run(arguments(*words)) == 0
    baseline = load_baseline(tmp_path / "b.json")
    assert [feature.name for feature in baseline.features] == ["x", "score"]
    assert (baseline.risk.loss, baseline.risk.risk, baseline.risk.rows, baseline.risk.source) == ("error_rate", 0.1, 600, "t.parquet")
    assert "600 labelled rows: error rate 10.0%" in capsys.readouterr().out


def test_predictions_that_are_outputs_stay_features(tmp_path):
    table = labelled_table().rename_columns(["x", "truth", "said", "output.y"])
    parquet.write_table(table, tmp_path / "t.parquet")
    words = ("--model", "m", "--from", tmp_path / "t.parquet", "--out", tmp_path / "b.json", "--label", "x", "--prediction", "output.y")
    assert command.run(arguments(*words)) == 0
    baseline = load_baseline(tmp_path / "b.json")
    assert "output.y" in [feature.name for feature in baseline.features]
    assert baseline.risk.loss == "absolute_error"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--label", "truth"), "give both, or neither"),
        (("--label", "truth", "--prediction", "none"), "no column 'none'"),
        (("--label", "x", "--prediction", "said"), "at least 500 rows"),
    ],
)
def test_labels_that_do_not_tell_the_risk_are_refused_in_a_sentence(tmp_path, capsys, words, complaint):
    table = labelled_table().slice(0, 499) if "x" in words else labelled_table()
    parquet.write_table(table, tmp_path / "t.parquet")
    assert command.run(arguments("--model", "m", "--from", tmp_path / "t.parquet", "--out", tmp_path / "b.json", *words)) == 2
    assert complaint in capsys.readouterr().err
