import json

import msgspec
import numpy as np
import pytest

from detectors.baseline import BaselineError, BaselineLearner, build_baseline, load_baseline, restricted, save_baseline
from records.baseline import CategoricalBaseline, NumericBaseline


def columns(rows=300, seed=1):
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(3, 2, size=rows), "level": np.array(["b", "a", "a", None], dtype=object)[np.arange(rows) % 4]}


def build(table, **names):
    return build_baseline(table, **{"model": "m", "source": "test", "created_at_ns": 5} | names)


def test_numbers_and_levels_are_described():
    baseline = build(columns())
    x, level = baseline.features
    assert isinstance(x, NumericBaseline)
    assert (x.name, sum(x.counts), len(x.counts)) == ("x", 300, 64)
    assert x.mean == pytest.approx(3, abs=0.4)
    assert all(low <= centre < high for low, centre, high in zip(x.edges, x.centres[1:], x.edges[1:], strict=False))
    assert isinstance(level, CategoricalBaseline)
    assert (level.levels, level.counts, level.missing) == (("a", "b"), (150, 75, 0), 75)


def test_equal_content_has_an_equal_id_and_other_content_another():
    assert build(columns()).baseline_id == build(columns(), model="other", created_at_ns=9).baseline_id
    assert build(columns()).baseline_id != build(columns(seed=2)).baseline_id


def test_levels_beyond_those_counted_are_remembered():
    levels = np.array([f"often {n}" for n in range(64)] * 5 + [f"once {n}" for n in range(30)] + ["twice"] * 2, dtype=object)
    feature = build({"level": levels}).features[0]
    assert len(feature.levels) == 64
    assert feature.counts[-1] == 32
    assert len(feature.rare_levels) == 31
    assert (feature.singletons, feature.doubletons) == (30, 1)


def test_values_that_are_missing_or_not_finite_are_counted_apart():
    table = {"x": np.concatenate([np.arange(200.0), [np.nan, np.inf, -np.inf, 1e300]])}
    feature = build(table).features[0]
    assert (sum(feature.counts), feature.missing, feature.non_finite) == (200, 1, 3)


def test_too_few_rows_make_no_baseline():
    with pytest.raises(BaselineError, match="at least 100 rows, and test has 99"):
        build({"x": np.zeros(99)})


def test_a_baseline_is_read_as_it_was_written(tmp_path):
    table = columns() | {"constant": np.zeros(300), "missing": np.full(300, np.nan), "wild": np.resize([1e139, -1e139, 1e-300], 300)}
    baseline = build(table)
    save_baseline(baseline, tmp_path / "b.json")
    assert load_baseline(tmp_path / "b.json", model="m") == baseline
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_a_baseline_of_another_model_is_refused(tmp_path):
    save_baseline(build(columns()), tmp_path / "b.json")
    with pytest.raises(BaselineError, match="is of the model 'm', not of 'fraud'"):
        load_baseline(tmp_path / "b.json", model="fraud")


def read_back(path, content):
    path.write_bytes(content)
    with pytest.raises(BaselineError) as caught:
        load_baseline(path)
    assert str(path) in str(caught.value)
    assert "driftline baseline" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"rows": 5}', b'{"format": 2, "model": 3}', b"\xff\xfe"])
def test_a_file_that_is_no_baseline_is_refused_with_its_name_and_the_reason(tmp_path, content):
    assert "is not a baseline" in read_back(tmp_path / "b.json", content)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda content: content.update(format=1), "of format 1, and this version reads format 2"),
        (lambda content: content.update(rows=7), "'x' counts 300 rows of 7"),
        (lambda content: content.update(features=[]), "it has no features"),
        (lambda content: content.update(features=content["features"] * 2), "two features have one name"),
        (lambda content: content["features"][1]["levels"].append("z"), "'level' has other numbers of levels and counts"),
        (lambda content: content["features"][0]["edges"].pop(), "'x' has other numbers of bins, centres and counts"),
        (lambda content: content["features"][0]["edges"].reverse(), "'x' has bin edges that do not increase"),
        (lambda content: content["features"][0].update(memories=[[0, 1]]), "'x' has a memory of no rows"),
    ],
)
def test_a_damaged_baseline_is_refused_with_its_name_and_the_reason(tmp_path, damage, complaint):
    content = json.loads(msgspec.json.encode(build(columns())))
    damage(content)
    assert complaint in read_back(tmp_path / "b.json", json.dumps(content).encode())


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(BaselineError, match=r"cannot read the baseline .*absent\.json"):
        load_baseline(tmp_path / "absent.json")
    with pytest.raises(BaselineError, match=r"cannot write the baseline .*b\.json"):
        save_baseline(build(columns()), tmp_path / "nowhere" / "b.json")


def test_a_learner_waits_for_its_rows_and_takes_columns_that_come_late_as_missing_before():
    learner = BaselineLearner(model="m", version="2", rows=250)
    assert learner.add({"x": np.zeros(150)}, np.arange(150), 1) is None
    assert learner.rows == 150
    baseline = learner.add(columns(100), np.arange(100), 2)
    assert (baseline.rows, baseline.source, baseline.version, baseline.created_at_ns) == (250, "traffic", "2", 2)
    x, level = baseline.features
    assert (sum(x.counts), x.missing) == (250, 0)
    assert (sum(level.counts), level.missing) == (75, 175)


def test_a_learned_baseline_is_the_one_that_a_table_gives():
    table = columns(300)
    learner = BaselineLearner(model="m", rows=300)
    parts = [{name: column[first : first + 100] for name, column in table.items()} for first in (0, 100, 200)]
    assert [learner.add(part, np.arange(100), 5) for part in parts][-1].features == build(table).features


def test_a_baseline_of_fewer_features_knows_the_pairs_among_them():
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=2_000) for name in "abcd"}
    baseline = build_baseline(columns, model="m", source="t.csv", created_at_ns=1)
    fewer = restricted(baseline, lambda name: name != "b")
    direct = build_baseline({name: columns[name] for name in "acd"}, model="m", source="t.csv", created_at_ns=1)
    assert fewer.baseline_id == direct.baseline_id
    assert fewer.pairs.features == ("a", "c", "d")
    assert fewer.pairs.correlations == pytest.approx(direct.pairs.correlations)
    assert restricted(baseline, lambda name: name == "a").pairs is None
    assert restricted(baseline, lambda _: True) is baseline
