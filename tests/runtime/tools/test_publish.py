import json

import yaml

from runtime.repository import Repository
from runtime.tools.publish import publish


def test_versions_count_up_from_one(tmp_path, perceptron):
    assert publish(tmp_path, "m", perceptron, {"rows": 3}) == tmp_path / "m" / "1"
    assert publish(tmp_path, "m", perceptron, {"rows": 3}) == tmp_path / "m" / "2"
    assert set(Repository(tmp_path).scan()) == {("m", 1), ("m", 2)}
    assert json.loads((tmp_path / "m" / "2" / "report.json").read_text()) == {"rows": 3}


def test_what_was_measured_is_no_part_of_what_the_model_is(tmp_path, perceptron):
    for rows in (3, 4):
        publish(tmp_path, "m", perceptron, {"rows": rows})
    assert Repository(tmp_path).read("m", 1).uuid == Repository(tmp_path).read("m", 2).uuid


def test_a_number_that_a_directory_without_a_model_has_is_not_taken(tmp_path, perceptron):
    (tmp_path / "m" / "7").mkdir(parents=True)
    (tmp_path / "m" / "7" / "note").touch()
    assert publish(tmp_path, "m", perceptron, {}).name == "8"


def test_settings_are_inherited_but_not_the_traffic_nor_recorded_answers(tmp_path, perceptron):
    publish(tmp_path, "m", perceptron, {})
    settings = {"labels": ["stable"], "samples": "samples.json", "batching": {"max_rows": 8}}
    (tmp_path / "m" / "1" / "model.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "m" / "1" / "samples.json").write_text("{}")
    made = publish(tmp_path, "m", perceptron, {}, original=Repository(tmp_path).read("m", 1))
    assert yaml.safe_load((made / "model.yaml").read_text()) == {"batching": {"max_rows": 8}}
    assert not (made / "samples.json").exists()
    assert Repository(tmp_path).read("m", 2).settings.batching.max_rows == 8


def test_a_failed_copy_leaves_nothing(tmp_path):
    try:
        publish(tmp_path, "m", tmp_path / "absent.onnx", {})
    except FileNotFoundError:
        assert list((tmp_path / "m").iterdir()) == []
    else:
        raise AssertionError
