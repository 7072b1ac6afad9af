import pytest

from config.redaction import Action
from privacy.changes import change_for, changed

from .making import HASHER

VALUE = {"name": "Ada", "age": 36, "height": 1.7, "member": True, "none": None, "list": [1, ["x"], {}]}


def test_a_mask_keeps_types_and_shapes_and_no_value() -> None:
    masked = {"name": "***", "age": 0, "height": 0.0, "member": False, "none": None, "list": [0, ["***"], {}]}
    assert changed(VALUE, change_for(Action.MASK, None)) == masked
    assert type(changed(1.5, change_for(Action.MASK, None))) is float


def test_a_hash_is_of_each_value_and_equal_values_stay_equal() -> None:
    hashed = changed({"a": "7", "b": 7, "c": "8", "d": None}, change_for(Action.HASH, HASHER))
    assert hashed["a"] == hashed["b"] != hashed["c"]
    assert hashed["d"] is None
    assert hashed["a"].startswith("k1:")
    assert len(hashed["a"]) == len("k1:") + 32


def test_a_hash_is_the_hmac_that_others_compute() -> None:
    # printf %s 7 | openssl dgst -sha256 -hmac 0123456789abcdef
    assert change_for(Action.HASH, HASHER)("7") == "k1:f69cf4852626eee19b92af564b9413e4"


@pytest.mark.parametrize("value", ["\ud800", "é", ""])
def test_every_text_can_be_hashed(value: str) -> None:
    assert change_for(Action.HASH, HASHER)(value).startswith("k1:")
