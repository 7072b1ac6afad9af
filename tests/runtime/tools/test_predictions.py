import numpy as np
import pytest

from runtime.tools.errors import ToolError
from runtime.tools.predictions import Metric, agreement_ratio, classes, largest_differences, metric

SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.float32)


def test_a_label_is_taken_before_scores():
    assert list(classes({"probabilities": SCORES, "label": np.array([[7], [8], [7]])})) == [7, 8, 7]
    assert list(classes({"label": np.array(["a", "b", "a"], dtype=object)})) == ["a", "b", "a"]


def test_without_a_label_the_largest_score_is_the_class():
    assert list(classes({"probabilities": SCORES})) == [0, 1, 1]


@pytest.mark.parametrize("outputs", [{"y": SCORES[:, :1]}, {"y": SCORES[:, 0]}, {"y": SCORES.reshape(1, 3, 2)}])
def test_one_number_a_row_or_a_row_of_vectors_is_no_class(outputs):
    assert classes(outputs) is None
    assert agreement_ratio(outputs, outputs) is None


def test_agreement_is_the_share_of_rows_with_the_same_class():
    assert agreement_ratio({"p": SCORES}, {"p": SCORES[::-1]}) == pytest.approx(1 / 3)


def test_the_largest_difference_is_relative_to_the_largest_magnitude():
    before = {"y": np.array([10.0, -20.0]), "label": np.array([1, 2])}
    assert largest_differences(before, {"y": np.array([10.0, -19.0]), "label": np.array([2, 2])}) == {"y": pytest.approx(0.05)}
    assert largest_differences({"y": np.zeros(2)}, {"y": np.array([0, 0.5])}) == {"y": 0.5}


@pytest.mark.parametrize("candidate", [np.array([1.0, np.nan]), np.array([1.0, np.inf]), np.array([1.0])])
def test_what_is_not_finite_or_not_of_that_shape_is_infinitely_far(candidate):
    assert largest_differences({"y": np.array([1.0, 2.0])}, {"y": candidate}) == {"y": float("inf")}


def test_what_the_original_does_not_know_either_does_not_count():
    assert largest_differences({"y": np.array([np.nan, 2.0])}, {"y": np.array([np.nan, 2.0])}) == {"y": 0.0}
    assert largest_differences({"y": np.array([np.nan])}, {"y": np.array([np.nan])}) == {"y": 0.0}


@pytest.mark.parametrize("labels", [np.array([0, 1, 0]), np.array([0.0, 1.0, 0.0]), np.array(["0", "1", "0"]), np.array([False, True, False])])
def test_accuracy_counts_equal_classes_whatever_type_labels_have(labels):
    assert metric({"p": SCORES}, labels) == Metric("accuracy", pytest.approx(2 / 3), larger_is_better=True)


def test_numbers_have_a_root_mean_squared_error():
    found = metric({"y": np.array([[1.0], [5.0]])}, np.array([1, 2]))
    assert found == Metric("root mean squared error", pytest.approx(np.sqrt(4.5)), larger_is_better=False)
    assert found.loss_against(Metric("root mean squared error", 2.0, larger_is_better=False)) > 0


def test_labels_that_fit_no_output_are_refused():
    with pytest.raises(ToolError, match=r"none of which is one class or one number per row: y \[1, 3, 2\]"):
        metric({"y": SCORES.reshape(1, 3, 2)}, np.array([1]))
    with pytest.raises(ToolError, match="labels are text"):
        metric({"y": np.array([1.0])}, np.array(["a"], dtype=object))
