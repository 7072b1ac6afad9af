"""Converted models answer as their originals do."""

import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from runtime.session import Session
from runtime.tools.convert import convert, same_ratio
from runtime.tools.errors import ToolError
from runtime.tools.rows import inputs_of


def answers(converted, columns, tmp_path):
    """Return the signature, and the share of rows in which ONNX Runtime and the original answer the same."""
    (tmp_path / "model.onnx").write_bytes(converted.onnx.SerializeToString())
    session = Session(tmp_path / "model.onnx")
    inputs = inputs_of(session.signature, columns)
    return session.signature, same_ratio(session.run(inputs), converted.reference(inputs), tolerance_ratio=1e-4)


@pytest.mark.parametrize("suffix", [".joblib", ".pkl"])
@pytest.mark.parametrize("estimator", [make_pipeline(StandardScaler(), LogisticRegression()), RandomForestClassifier(5, random_state=0)])
def test_a_classifier_of_scikit_learn_gives_label_and_probabilities(data, tmp_path, suffix, estimator):
    joblib.dump(estimator.fit(*data), tmp_path / f"m{suffix}")
    signature, same = answers(convert(tmp_path / f"m{suffix}"), {"x": data.rows}, tmp_path)
    assert [str(spec) for spec in signature.inputs] == ["input FP32[-1, 30]"]
    assert [spec.datatype for spec in signature.outputs] == ["INT64", "FP32"]
    assert signature.has_rows
    assert same > 0.99


def test_a_regression_of_scikit_learn_gives_a_number(data, tmp_path):
    joblib.dump(LinearRegression().fit(data.rows[:, 1:], data.rows[:, 0]), tmp_path / "m.joblib")
    signature, same = answers(convert(tmp_path / "m.joblib"), {"x": data.rows[:, 1:]}, tmp_path)
    assert [spec.sizes for spec in signature.outputs] == [[-1, 1]]
    assert same == 1


def test_a_pipeline_over_texts_and_numbers_gets_an_input_for_each_column(tmp_path):
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"city": generator.choice(["Bonn", "Kiel"], 200), "age": generator.normal(40, 9, 200)})
    labels = (table.city == "Bonn") ^ (table.age > 40)
    pipeline = make_pipeline(make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["age"])), RandomForestClassifier(5, random_state=0))
    joblib.dump(pipeline.fit(table, labels.astype(int)), tmp_path / "m.joblib")
    columns = {"city": table.city.to_numpy(dtype=object), "age": table.age.to_numpy()}
    signature, same = answers(convert(tmp_path / "m.joblib", example=columns), columns, tmp_path)
    assert [str(spec) for spec in signature.inputs] == ["city BYTES[-1, 1]", "age FP32[-1, 1]"]
    assert same > 0.99


@pytest.mark.parametrize("labels", ["two", "three", "numbers"])
@pytest.mark.parametrize("saved", ["native", "pickle"])
def test_models_of_xgboost_answer_as_before(data, tmp_path, labels, saved):
    xgboost = pytest.importorskip("xgboost", reason="needs the package xgboost-cpu")
    model = fitted(xgboost.XGBRegressor if labels == "numbers" else xgboost.XGBClassifier, data, labels)
    file = tmp_path / ("m.json" if saved == "native" else "m.joblib")
    model.save_model(file) if saved == "native" else joblib.dump(model, file)
    signature, same = answers(convert(file), {"x": data.rows}, tmp_path)
    assert signature.has_rows
    assert same == 1


@pytest.mark.parametrize("labels", ["two", "three", "numbers"])
@pytest.mark.parametrize("saved", ["native", "pickle"])
def test_models_of_lightgbm_answer_as_before(data, tmp_path, labels, saved):
    lightgbm = pytest.importorskip("lightgbm", reason="needs the package lightgbm")
    model = fitted(lightgbm.LGBMRegressor if labels == "numbers" else lightgbm.LGBMClassifier, data, labels, verbose=-1)
    file = tmp_path / ("m.txt" if saved == "native" else "m.joblib")
    model.booster_.save_model(file) if saved == "native" else joblib.dump(model, file)
    signature, same = answers(convert(file), {"x": data.rows}, tmp_path)
    assert signature.has_rows
    assert same == 1


def fitted(kind, data, labels, **options):
    targets = {"two": data.labels, "three": np.digitize(data.rows[:, 0], [-0.5, 0.5]), "numbers": data.rows[:, 3] * 2 + 5}[labels]
    return kind(n_estimators=8, n_jobs=1, **options).fit(data.rows, targets)


def test_a_module_of_pytorch_answers_as_before(data, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the packages torch and onnxscript, which are too large for every machine")
    module = torch.nn.Sequential(torch.nn.Linear(30, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    torch.save(module, tmp_path / "m.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (torch.zeros(2, 30),), dynamic_shapes=({0: torch.export.Dim("rows")},)), tmp_path / "m.pt2")
    for file, row_shape in (("m.pt", (30,)), ("m.pt2", ())):
        signature, same = answers(convert(tmp_path / file, row_shape=row_shape), {"x": data.rows}, tmp_path)
        assert signature.has_rows
        assert same == 1
    with pytest.raises(ToolError, match="give the shape of one row with --shape"):
        convert(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("absent.joblib", None, "there is no file"),
        ("m.h5", b"", "of no known format: expected .joblib, .pkl"),
        ("m.joblib", b"no pickle", "cannot be converted"),
        ("m.json", b"{}", "cannot be converted"),
        ("m.txt", b"tree", "cannot be converted"),
    ],
)
def test_what_is_no_model_is_refused_in_one_sentence(tmp_path, file, content, complaint, capfd):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ToolError, match=complaint) as refused:
        convert(tmp_path / file)
    assert "\n" not in str(refused.value)


def test_what_is_no_fitted_estimator_is_refused(tmp_path):
    joblib.dump({"a": 1}, tmp_path / "d.joblib")
    with pytest.raises(ToolError, match=r"holds a builtins.dict, which is no estimator"):
        convert(tmp_path / "d.joblib")
    joblib.dump(LogisticRegression(), tmp_path / "u.joblib")
    with pytest.raises(ToolError, match="is not fitted"):
        convert(tmp_path / "u.joblib")


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "m.pt2").touch()
    with pytest.raises(ToolError, match="needs the package torch; install it with: pip install torch onnxscript"):
        convert(tmp_path / "m.pt2")


def test_answers_differ_by_rows():
    ours = [np.array([1, 2, 3]), np.array([[0.5], [0.25], [np.nan]], np.float32)]
    assert same_ratio(ours, [np.array(["1", "2", "3"]), np.array([0.5, 0.25, np.nan])], tolerance_ratio=1e-4) == 1
    assert same_ratio(ours, [np.array([1, 2, 4]), np.array([0.5, 0.26, np.nan])], tolerance_ratio=1e-4) == pytest.approx(1 / 3)
    with pytest.raises(ToolError, match="shape"):
        same_ratio(ours[:1], [np.array([1])], tolerance_ratio=1e-4)
