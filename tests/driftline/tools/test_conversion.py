import json

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from driftline.tools import conversion
from runtime.session import Session
from runtime.tools.convert import convert


def fitted(estimator, table):
    return estimator.fit(np.column_stack([table.column(f"f{place}").to_numpy() for place in range(8)]), table.column("y").to_numpy())


def test_a_model_of_scikit_learn_becomes_a_version(table, tmp_path, rows_csv, tool, capsys):
    joblib.dump(fitted(LogisticRegression(), table), tmp_path / "m.joblib")
    assert tool("convert", tmp_path / "m.joblib", "--models", tmp_path / "models", "--model", "m", "--from", rows_csv, "--exclude", "id", "--exclude", "y") == 0
    told = capsys.readouterr()
    assert "100.00% of 600 rows of rows.csv are answered as m.joblib answers them" in told.out
    assert Session(tmp_path / "models" / "m" / "1" / "model.onnx").signature.has_rows
    assert json.loads((tmp_path / "models" / "m" / "1" / "report.json").read_text())["same_ratio"] == 1


def test_without_rows_some_are_made_up(table, tmp_path, tool, capsys):
    joblib.dump(fitted(DecisionTreeClassifier(random_state=0), table), tmp_path / "m.joblib")
    for version in ("1", "2"):
        assert tool("convert", tmp_path / "m.joblib", "--models", tmp_path / "models", "--model", "m") == 0
        assert f"accepted: {tmp_path}/models/m/{version}" in capsys.readouterr().out


def test_a_model_that_answers_otherwise_is_not_accepted(table, tmp_path, tool, capsys, monkeypatch):
    def misunderstood(file, **options):
        converted = convert(file, **options)
        return converted._replace(reference=lambda inputs: converted.reference([-array for array in inputs]))

    monkeypatch.setattr(conversion, "convert", misunderstood)
    joblib.dump(fitted(LogisticRegression(), table), tmp_path / "m.joblib")
    assert tool("convert", tmp_path / "m.joblib", "--models", tmp_path / "models", "--model", "m") == 1
    assert "of the rows are answered alike (at least 99.00%: --same)" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_file_that_is_no_model_is_told_in_one_line(tmp_path, tool, capsys):
    (tmp_path / "m.joblib").write_bytes(b"no")
    assert tool("convert", tmp_path / "m.joblib", "--models", tmp_path / "models", "--model", "m") == 2
    assert capsys.readouterr().err.count("\n") == 1
