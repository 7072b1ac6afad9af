"""One model under watch."""

import numpy as np

from config.settings import DriftSettings
from detectors.baseline import build_baseline
from driftline.model_watch import ModelName, ModelWatch
from records.payload import STREAM_TIMES, Decoded, Failed, Tensor, Undecodable


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
