import json
import subprocess
import sys

import numpy as np
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.neural_network import MLPRegressor

from runtime.repository import Repository
from runtime.session import Session

CHANGES = [("optimize",), ("quantize",), ("quantize", "--to", "int8-static"), ("quantize", "--to", "fp16"), ("prune", "--share", "0.2")]


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_an_accepted_change_becomes_the_next_version_with_its_report(models, rows_file, tool, capsys, change):
    status = tool(*change, "--models", models, "--model", "m", "--from", rows_file, "--exclude", "id", "--label", "y", "--slowdown", 100, "--agreement", 0.9)
    told = capsys.readouterr()
    assert (status, told.err) == (0, "")
    assert "accuracy" in told.out
    assert f"accepted: {models}/m/2" in told.out
    report = json.loads((models / "m" / "2" / "report.json").read_text())
    assert (report["tool"], report["original"]["version"]) == (change[0], 1)
    assert report["original"]["uuid"] == str(Repository(models).read("m", 1).uuid)
    assert report["comparison"]["rows"] == (300 if "int8-static" in change else 600)
    assert report["comparison"]["agreement_ratio"] > 0.9
    assert str(Session(models / "m" / "2" / "model.onnx").signature) == str(Session(models / "m" / "1" / "model.onnx").signature)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("quantize", "--slowdown", "0.001"), "times the time of the original (at most 0.001: --slowdown)"),
        (("quantize", "--slowdown", "100", "--difference", "0"), "the output 'probabilities' differs by"),
        (("prune", "--share", "1", "--slowdown", "100"), "of the rows keep their class (at least 99.00%: --agreement)"),
        (("prune", "--share", "1", "--slowdown", "100", "--agreement", "0"), "its accuracy is"),
    ],
)
def test_what_is_beyond_a_limit_is_not_accepted_and_leaves_nothing(models, rows_file, tool, capsys, change, reason):
    assert tool(*change, "--models", models, "--model", "m", "--from", rows_file, "--exclude", "id", "--label", "y") == 1
    assert reason in capsys.readouterr().err
    assert [entry.name for entry in (models / "m").iterdir()] == ["1"]


def test_without_rows_it_is_compared_on_made_up_ones_and_says_so(models, tool, capsys):
    assert tool("optimize", "--models", models, "--model", "m", "--slowdown", 100) == 0
    told = capsys.readouterr()
    assert "made-up rows, which say little" in told.err
    assert "1,000 rows: made up" in told.out


def test_a_version_that_is_named_is_taken_instead_of_the_newest(models, tool):
    for version in ("1", "2", "1"):
        assert tool("optimize", "--models", models, "--model", "m", "--version", version, "--slowdown", 100) == 0
    assert json.loads((models / "m" / "4" / "report.json").read_text())["original"]["version"] == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("optimize", "--model", "other"), "has no model 'other'"),
        (("optimize", "--model", "m", "--version", "7"), "m has no version 7; it has 1"),
        (("optimize", "--model", "m", "--from", "rows.txt"), "of no known format"),
        (("optimize", "--model", "m", "--from", "absent.csv"), "cannot read absent.csv: "),
        (("optimize", "--model", "m", "--label", "y"), "give the file with --from"),
        (("optimize", "--model", "m", "--since", "2026-01-01"), "give them with --from-store"),
        (("optimize", "--model", "m", "--from-store", "--exclude", "id"), "columns can be named of a file"),
        (("optimize", "--model", "m", "--from-store", "--data-dir", "nowhere"), "there is no store in nowhere"),
        (("quantize", "--model", "m", "--to", "int8-static"), "takes the activations' ranges from rows"),
        (("optimize", "--model", "m", "--device", "cuda"), "cuda"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(models, tool, capsys, words, complaint):
    assert tool(*words, "--models", models) == 2
    told = capsys.readouterr()
    assert complaint.lower() in told.err.lower()
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--from", "ROWS", "--exclude", "nothing"), "there is no column 'nothing'; its columns are id, f0"),
        (("--from", "ROWS", "--exclude", "id"), "takes 8 columns, but there are 9: f0, f1, f2"),
    ],
)
def test_rows_that_do_not_fit_are_told_in_one_line(models, rows_file, tool, capsys, words, complaint):
    assert tool("optimize", "--models", models, "--model", "m", *(rows_file if word == "ROWS" else word for word in words)) == 2
    told = capsys.readouterr()
    assert complaint in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("--share", "2"), ("--share", "-1"), ("--share", "half"), ("--share", "0.5", "--version", "0"), ("--share", "0.5", "--since", "noon")]
)
def test_values_that_make_no_sense_are_refused_by_name(models, tool, capsys, words):
    with pytest.raises(SystemExit) as left:
        tool("prune", "--models", models, "--model", "m", *words)
    assert left.value.code == 2
    assert f"argument {words[-2]}: expected" in capsys.readouterr().err


def test_a_model_of_numbers_has_a_limit_of_its_own(tmp_path, tool, capsys):
    rows = np.random.default_rng(0).normal(size=(300, 4))
    model = MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=2000, random_state=0).fit(rows, rows.sum(axis=1))
    (tmp_path / "m" / "1").mkdir(parents=True)
    onnx = to_onnx(model, initial_types=[("x", FloatTensorType([None, 4]))])
    (tmp_path / "m" / "1" / "model.onnx").write_bytes(onnx.SerializeToString())
    assert tool("prune", "--share", "0.9", "--models", tmp_path, "--model", "m", "--slowdown", 100) == 1
    assert "(at most 0.05: --difference)" in capsys.readouterr().err


def test_a_server_of_models_loads_nothing_that_only_tools_need():
    script = "import sys, driftline.commands.runtime; print([name for name in ('pyarrow', 'onnx', 'rich', 'sklearn') if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"
