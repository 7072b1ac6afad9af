"""One model under watch."""

import re
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from config.settings import DriftSettings
from config.units import Seconds
from detectors.baseline import build_baseline
from driftline.model_watch import ModelName, ModelState, ModelWatch
from driftline.redacted import watched_part
from records.exchange import Exchange, Role
from records.payload import STREAM_TIMES, TEXT, Decoded, Failed, Tensor, Undecodable


def test_the_columns_of_a_matrix_are_called_as_the_baselines_inputs_are_text_too():
    columns = {"age": np.arange(200.0), "city": np.array(["Bonn", "Ulm"] * 100, dtype=object), "output.label": np.zeros(200)}
    baseline = build_baseline(columns, model="m", source="t.csv", created_at_ns=1)
    watch = ModelWatch(ModelName("m", ""), DriftSettings(), baseline, on_rows=lambda _: None)
    request = Decoded("sagemaker", [Tensor("inputs", "JSON", (2, 2), [41.0, "Bonn", 23.0, "Ulm"])])
    watch.columns.add(request, Decoded("sagemaker", [Tensor("label", "FP64", (2,), [0.0, 1.0])]), 1)
    taken, _ = watch.columns.take()
    assert {name: column.tolist() for name, column in taken.items()} == {"age": [41.0, 23.0], "city": ["Bonn", "Ulm"], "output.label": [0.0, 1.0]}


def test_how_long_streams_took_is_collected_and_not_tested():
    names = ["output.text_characters", *(f"output.{name}" for name in STREAM_TIMES)]
    baseline = build_baseline({name: np.arange(200.0) for name in names}, model="m", source="t.csv", created_at_ns=1)
    collected = []
    watch = ModelWatch(ModelName("m", ""), DriftSettings(), baseline, on_rows=collected.append)
    watch.columns.add(Failed("openai", Undecodable.TRUNCATED), Decoded("openai", [Tensor(STREAM_TIMES[0], "FP64", (1,), [0.5])]), 1)
    watch.step(2)
    assert list(collected[0].columns) == [f"output.{STREAM_TIMES[0]}"]
    assert [feature.name for feature in watch.state().baseline.features] == ["output.text_characters"]


SECOND_NS = 1_000_000_000
BASELINE = build_baseline({"age": np.random.default_rng(0).normal(size=500)}, model="m", source="t.csv", created_at_ns=1)
SETTINGS = DriftSettings(window_rows=200, window_time=Seconds(600), window_min_rows=50)


def exchange(seconds):
    return Exchange(
        exchange_id=bytes(16), request_id="", role=Role.SERVED, route="r", arm="upstream", method="POST", path="/", started_at_ns=seconds * SECOND_NS
    )


def pass_rows(watch, seconds, rows=1, clock_seconds=None, **values):
    """Let rows of one exchange pass; return the windows that closed."""
    tensors = [Tensor("age", "FP64", (rows,), np.random.default_rng(seconds).normal(size=rows).tolist())]
    tensors += [Tensor(name, "JSON", (rows,), value) for name, value in values.items()]
    watch.add(exchange(seconds), Decoded("json", tensors), Failed("json", Undecodable.EMPTY), "")
    return watch.step((seconds if clock_seconds is None else clock_seconds) * SECOND_NS)


def make_watch(**changes):
    return ModelWatch(ModelName("m", ""), msgspec.structs.replace(SETTINGS, **changes), BASELINE, on_rows=lambda _: None)


def test_a_window_with_too_few_rows_waits_and_says_so():
    watch = make_watch()
    pass_rows(watch, 1_000, rows=20)
    assert watch.status(1_500 * SECOND_NS).waiting == ""
    assert watch.step(1_601 * SECOND_NS) == []
    status = watch.status(1_601 * SECOND_NS)
    assert (status.is_waiting, status.waiting) == (True, "waiting for rows: 20 of 50, since 1970-01-01T00:16:40.000Z")
    [result] = pass_rows(watch, 1_700, rows=30)
    assert (result.summary.rows, watch.status(1_700 * SECOND_NS).waiting) == (50, "")


def test_windows_close_in_the_time_of_the_traffic_when_it_comes_long_after():
    watch = make_watch()
    an_hour = 3_600
    assert pass_rows(watch, 1_000, rows=100, clock_seconds=1_000 + an_hour) == []  # the monitor was down, and catches up
    assert pass_rows(watch, 1_500, rows=10, clock_seconds=1_001 + an_hour) == []
    [result] = pass_rows(watch, 1_601, rows=10, clock_seconds=1_002 + an_hour)
    assert result.summary.rows == 110


def test_a_row_that_comes_long_after_its_window_is_counted_in_the_open_one_as_late():
    watch = make_watch(window_min_rows=10)
    closed = [pass_rows(watch, seconds, rows=20) for seconds in (1_000, 1_700, 2_400)]
    assert [len(results) for results in closed] == [0, 1, 1]
    pass_rows(watch, 1_690, rows=3)  # out of order: its window was the last one that closed or the one before
    pass_rows(watch, 1_701, rows=3)
    [result] = pass_rows(watch, 3_100, rows=20)
    assert (result.summary.rows, result.summary.late_rows, result.summary.opened_at_ns) == (26, 3, 2_400 * SECOND_NS)
    assert watch.status(3_100 * SECOND_NS).late_rows == 3
    assert watch.status(3_100 * SECOND_NS).latest_row_at_ns == 3_100 * SECOND_NS


def test_windows_follow_each_other_in_time_whatever_the_order_of_the_rows():
    watch = make_watch(window_rows=10, window_min_rows=10)
    seconds = np.random.default_rng(3).permutation(200)
    closed = [result.summary for each in seconds.tolist() for result in pass_rows(watch, 1_000 + each)]
    assert [summary.rows for summary in closed] == [10] * 20
    for before, after in pairwise(closed):
        assert before.opened_at_ns <= before.closed_at_ns <= after.opened_at_ns


def test_rows_have_the_time_that_a_feature_says_and_it_is_no_feature():
    watch = make_watch(event_time="at", window_min_rows=3)
    noon = 1_763_640_000
    assert pass_rows(watch, noon + 5_000, rows=3, at=[noon + 1.0, (noon + 2) * 1e3, "2025-11-20T12:00:03Z"]) == []
    [result, _] = pass_rows(watch, noon + 5_001, rows=3, at=[noon + 700.0, None, "soon"])
    assert (result.summary.opened_at_ns, result.summary.closed_at_ns) == ((noon + 1) * SECOND_NS, (noon + 3) * SECOND_NS)
    assert watch.status(0).untimed_rows == 2
    days = [f"2025-11-{1 + index % 28:02}T12:00:00Z" for index in range(500)]
    columns = {"age": np.arange(500.0), "at": np.array(days, dtype=object)}
    given = build_baseline(columns, model="m", source="t.csv", created_at_ns=1, times_ns=np.full(500, noon * SECOND_NS))
    assert len(given.features) > 1
    timed = ModelWatch(ModelName("m", ""), msgspec.structs.replace(SETTINGS, event_time="at"), given, on_rows=lambda _: None)
    assert [feature.name for feature in timed.state().baseline.features] == ["age"]
    learning = ModelWatch(ModelName("m", ""), msgspec.structs.replace(SETTINGS, event_time="at", baseline_rows=200), None, on_rows=lambda _: None)
    pass_rows(learning, 5_000, rows=200, at=[1_000.0] * 200)
    assert [feature.name for feature in learning.state().baseline.features] == ["age"]


@pytest.mark.parametrize("stop", range(7))
def test_a_restart_at_any_point_changes_neither_windows_nor_what_is_counted(stop):
    steps = [(1_000, 20), (1_700, 20), (2_400, 20), (1_000, 3), (3_100, 20), (3_200, 5), (3_900, 20)]
    expected, whole = make_watch(window_min_rows=10), []
    for seconds, rows in steps:
        whole += pass_rows(expected, seconds, rows)
    watch, found = make_watch(window_min_rows=10), []
    for index, (seconds, rows) in enumerate(steps):
        if index == stop:
            written = msgspec.json.encode(watch.state())
            watch = make_watch(window_min_rows=10)
            watch.resume(msgspec.json.decode(written, type=ModelState))
        found += pass_rows(watch, seconds, rows)
    assert found == whole
    assert watch.state() == expected.state()


def test_an_accepted_baseline_is_kept_until_another_one_is_given():
    other = build_baseline({"age": np.random.default_rng(5).normal(size=700)}, model="m", source="accepted", created_at_ns=2)
    watch = make_watch()
    watch.replace_baseline(other)
    written = msgspec.json.encode(watch.state())
    again = make_watch()
    again.resume(msgspec.json.decode(written, type=ModelState))
    assert again.status(0).baseline_id == other.baseline_id
    third = build_baseline({"age": np.random.default_rng(6).normal(size=700)}, model="m", source="third", created_at_ns=2)
    anew = ModelWatch(ModelName("m", ""), SETTINGS, third, on_rows=lambda _: None)
    anew.resume(msgspec.json.decode(written, type=ModelState))
    assert anew.status(0).baseline_id == third.baseline_id


def test_embeddings_are_learned_watched_and_kept_out_of_the_store():
    rng = np.random.default_rng(1)
    collected, results = [], []
    watch = ModelWatch(ModelName("m", ""), DriftSettings(baseline_rows=400, window_rows=200), None, on_rows=collected.append)
    for number in range(1_200):
        vector = rng.normal(size=150) + (number >= 800)
        reply = Decoded("openai", [Tensor("embedding", "FP64", (1, 150), vector.tolist())])
        words = " ".join(rng.choice(["where", "is", "my", "parcel", "now", "please"], 5))
        request = Decoded("openai", [Tensor("input", TEXT, (1,), [words]), Tensor("input_characters", "INT64", (1,), [len(words)])])
        watch.columns.add(request, reply, number)
        if number % 100 == 99:
            results += watch.step(number)
    assert all(set(rows.columns) == {"input_characters", "output.embedding.dimension"} for rows in collected)
    assert [vector.name for vector in watch.state().baseline.vectors] == ["output.embedding"]
    assert [result.verdict.alert for result in results] == [False, False, True, False]
    assert "output.embedding" in results[2].verdict.carriers
    assert results[2].summary.vectors["output.embedding"].rows == 200


def test_a_redacted_vector_and_text_are_not_watched():
    columns = {"face": np.random.default_rng(1).normal(size=(200, 130)).astype(np.float32), "x": np.arange(200.0)}
    columns["note"] = np.array([f"the {number} words of a note that differ" for number in range(200)], dtype=object)
    baseline = build_baseline(columns, model="m", source="t", created_at_ns=0)
    assert {"face.norm", "note.script"} <= {feature.name for feature in baseline.features}
    watched = watched_part(baseline, re.compile(r"(?:face|note)(?:\..*)?"))
    assert [feature.name for feature in watched.features] == ["x"]
    assert (watched.vectors, watched.texts) == ((), ())
