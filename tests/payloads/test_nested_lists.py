import pytest

from payloads.nested_lists import flatten, tensors_of_examples
from payloads.refusal import MAX_VALUES, Refused
from records.payload import Undecodable


def test_lists_that_repeat_are_refused_before_they_are_written_out():
    shared = [0] * 1_000
    with pytest.raises(Refused) as refused:
        flatten([shared] * (MAX_VALUES // 1_000 + 1))
    assert refused.value.reason is Undecodable.TOO_LARGE


def test_many_names_and_many_rows_are_refused_once_they_are_too_many():
    context = dict.fromkeys(map(str, range(100_000)), 0)
    with pytest.raises(Refused) as refused:
        tensors_of_examples([{}] * 100_000, context)  # 10 billion values, if they were written out
    assert refused.value.reason is Undecodable.TOO_LARGE


@pytest.mark.parametrize("depth", [1, 5, 32])
def test_depth_is_rank(depth):
    nested = 7
    for _ in range(depth):
        nested = [nested]
    assert flatten(nested) == ((1,) * depth, [7])
