import pytest

from payloads.nested_lists import tensors_of_document, tensors_of_rows
from payloads.refusal import MAX_RANK, Refused
from records.payload import Tensor, Undecodable


def nested(depth, leaf, *, in_lists=False):
    for _ in range(depth):
        leaf = {"a": [leaf] if in_lists else leaf}
    return leaf


def test_objects_in_rows_become_dotted_names():
    rows = [{"user": {"age": 41, "home": {"city": "Bonn"}}, "sum": 3}, {"user": {"age": 23}, "sum": 4}]
    assert tensors_of_rows("inputs", rows) == [
        Tensor("user.age", "INT64", (2,), [41, 23]),
        Tensor("user.home.city", "BYTES", (2,), ["Bonn", None]),
        Tensor("sum", "INT64", (2,), [3, 4]),
    ]


def test_a_ranking_is_a_column_of_several_values_per_member():
    row = {"items": [{"id": "a", "score": 0.9}, {"id": "b"}]}
    assert tensors_of_document("predictions", row) == [Tensor("items.id", "BYTES", (1, 2), ["a", "b"]), Tensor("items.score", "FP64", (1, 2), [0.9, None])]


def test_rows_that_are_rankings_themselves_are_read_alike():
    rows = [[{"label": "spam", "score": 0.75}, {"label": "ham", "score": 0.25}], [{"label": "ham", "score": 0.5}, {"label": "spam", "score": 0.5}]]
    assert tensors_of_rows("predictions", rows) == [
        Tensor("label", "BYTES", (2, 2), ["spam", "ham", "ham", "spam"]),
        Tensor("score", "FP64", (2, 2), [0.75, 0.25, 0.5, 0.5]),
    ]


def test_bytes_in_base64_are_values_and_no_objects():
    assert tensors_of_rows("x", [{"image": {"b64": "aGk="}, "at": {"x": {"b64": "aGk="}}}]) == [
        Tensor("image", "BYTES", (1,), ["hi"]),
        Tensor("at.x", "BYTES", (1,), ["hi"]),
    ]


@pytest.mark.parametrize("in_lists", [False, True])
def test_depth_is_bounded(in_lists):
    (deep,) = tensors_of_document("x", nested(MAX_RANK // 2, 1, in_lists=in_lists) if not in_lists else nested(MAX_RANK // 2, {"b": 1}, in_lists=True))
    assert deep.name.startswith("a.a")
    with pytest.raises(Refused) as refused:
        tensors_of_document("x", nested(1_000, {"b": 1}, in_lists=in_lists))
    assert refused.value.reason is Undecodable.MALFORMED


@pytest.mark.parametrize(
    "document",
    [
        {"k" * 300: {f"f{index}": 1 for index in range(1_000)}},
        {f"list {number}": [{f"f{index}": 1} for index in range(200)] for number in range(10)},
        [[{f"f{index}": 1} for index in range(200)] for number in range(10)],
    ],
    ids=["a long name over many values", "lists of objects without common keys", "rows of them"],
)
def test_small_bodies_cannot_grow_large(document):
    with pytest.raises(Refused) as refused:
        tensors_of_document("x", document)
    assert refused.value.reason is Undecodable.TOO_LARGE
