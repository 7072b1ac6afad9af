import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.inference import Computed, Inference, Result
from runtime.open_inference import Asked, ReplyForm, RequestForm, read_request, reply
from runtime.refusal import Refused
from runtime.signature import Signature, TensorSpec

ONE = Signature((TensorSpec("x", "FP32", ("n", 3)),), (TensorSpec("y", "FP32", ("n", 2)), TensorSpec("name", "BYTES", ("n",))))
TWO = Signature((TensorSpec("a", "INT64", ("n",)), TensorSpec("b", "BYTES", ("n",))), ONE.outputs)
VALUES = np.array([[1, 2, 3]], np.float32)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]} | changes


def body(*tensors: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"inputs": list(tensors), **members}).encode()


def read(content: bytes, signature: Signature = ONE, json_length: bytes | None = None, *, missing: bool = False) -> tuple[Inference, Asked]:
    return read_request(content, json_length, RequestForm(signature, missing=missing))


@pytest.mark.parametrize("data", [[1, 2, 3], [[1, 2, 3]], [1.0, 2.0, 3.0]])
def test_values_may_be_flat_or_nested(data: list[Any]) -> None:
    inference, _ = read(body(tensor(data=data)))
    assert inference.contents == [VALUES.tobytes()]
    assert inference.shapes == [(1, 3)]


def test_inputs_may_come_in_any_order_as_json_and_as_bytes() -> None:
    a, b = {"name": "a", "shape": [2], "datatype": "INT64"}, {"name": "b", "shape": [2], "datatype": "BYTES", "data": ["p", "q"]}
    inference, _ = read(body(b, a | {"data": [1, 2]}), TWO)
    assert inference.contents == [np.array([1, 2]).tobytes(), ["p", "q"]]
    document = body(b | {"data": None, "parameters": {"binary_data_size": 10}}, a | {"parameters": {"binary_data_size": 16}})
    blobs = b"\1\0\0\0p\1\0\0\0q" + np.array([1, 2]).tobytes()
    inference, _ = read(document + blobs, TWO, str(len(document)).encode())
    assert inference.contents == [np.array([1, 2]).tobytes(), ["p", "q"]]


def test_raw_values_of_the_only_input_are_enough() -> None:
    inference, asked = read(np.ones((4, 3), np.float32).tobytes(), ONE, b"0")
    assert inference.shapes == [(4, 3)]
    assert asked.binary == (True, True)
    with pytest.raises(Refused, match="expected a multiple of 12 bytes for shape \\[-1, 3\\] of FP32, found 13"):
        read(bytes(13), ONE, b"0")
    with pytest.raises(Refused, match="only a model with one input"):
        read(b"", TWO, b"0")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected JSON: Input data was truncated"),
        (b"[]", "expected a request of Open Inference V2: Expected `object`, got `array`"),
        (b'{"inputs": 1}', r"Expected `array`, got `int` - at `\$.inputs`"),
        (b"{", "expected JSON"),
        (b"[" * 100_000, "expected"),
        (b'{"inputs": []}', r"expected the inputs x FP32\[-1, 3\], found none"),
        (body(tensor(name="z")), r"expected the inputs x FP32\[-1, 3\], found z"),
        (body(tensor(), tensor()), "found x, x"),
        (body(tensor(datatype="FP64")), "input x: expected datatype FP32, found FP64"),
        (body(tensor(shape=[1, 4])), r"input x: expected shape \[-1, 3\], found \[1, 4\]"),
        (body(tensor(shape=[3])), r"expected shape \[-1, 3\], found \[3\]"),
        (body(tensor(shape=[-1, 3])), r"found \[-1, 3\]"),
        (body(tensor(shape=[10**18, 3])), f"expected {3 * 10**18} values"),
        (body(tensor(data=[1, 2])), r"expected 3 values for shape \[1, 3\], found 2"),
        (body(tensor(data=[1, "2", 3])), "expected numbers of FP32, found '2'"),
        (body(tensor(data=None)), "expected data, or binary_data_size and as many bytes behind the JSON, found neither"),
        (body(tensor(data=None, parameters={"shared_memory_region": "r"})), "found shared memory, which is not offered"),
        (body(tensor(), outputs=[{"name": "z"}]), "expected outputs among y, name, found z"),
        (body(tensor(), parameters={"priority": 10}), "expected a priority from 1, which goes first, to 9, found 10"),
        (body(tensor(), parameters={"timeout": "1s"}), "expected a timeout in whole microseconds, found 1s"),
    ],
)
def test_what_is_wrong_is_said_with_what_was_expected(content: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        read(content)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("size", "blobs", "said"),
    [
        (12, bytes(11), "expected 12 bytes, as binary_data_size says, found 11"),
        (11, bytes(11), "expected 12 bytes for 3 values of FP32, found 11"),
        (12, bytes(13), "expected 12 bytes of binary tensors behind the JSON, as binary_data_size says, found 13"),
        (-1, b"", "found neither"),
        (True, b"", "found neither"),
    ],
)
def test_binary_tensors_have_the_size_that_is_said_and_needed(size: int, blobs: bytes, said: str) -> None:
    document = body(tensor(data=None, parameters={"binary_data_size": size}))
    with pytest.raises(Refused, match=said):
        read(document + blobs, ONE, str(len(document)).encode())


@pytest.mark.parametrize("length", [b"x", b"-1", b"1e3", b"99999", b"9" * 30, b""])
def test_the_jsons_length_is_within_the_body(length: bytes) -> None:
    with pytest.raises(Refused, match="at most the body's"):
        read(body(tensor()), ONE, length)


def test_bare_nan_is_read_for_models_that_decide_about_it() -> None:
    content, _ = read(b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,NaN,3]}]}')
    assert np.isnan(np.frombuffer(content.contents[0], np.float32)).tolist() == [False, True, False]
    missing, _ = read(body(tensor(data=[1, None, 3])), missing=True)
    assert np.isnan(np.frombuffer(missing.contents[0], np.float32)).tolist() == [False, True, False]


def test_priority_and_timeout_are_tritons() -> None:
    inference, _ = read(body(tensor(), parameters={"priority": 2, "timeout": 1500}))
    assert (inference.priority, inference.timeout_ns) == (2, 1_500_000)


OUTPUTS = [np.array([[0.1, 0.9], [np.nan, np.inf], [3, 4]], np.float32), np.array(["a", 'b"', "ü"], object)]


EVERYTHING = Asked(None, (), ())


def replied(asked: Asked = EVERYTHING, start: int = 0, rows: int = 3) -> tuple[bytes, int]:
    return reply(Result(Computed(OUTPUTS, together=True), start, rows), asked, ReplyForm(ONE, "m", "7"))


def test_a_reply_has_the_rows_of_its_request_and_null_for_what_json_cannot_write() -> None:
    content, json_length = replied()
    assert json_length == 0
    assert json.loads(content) == {
        "model_name": "m",
        "model_version": "7",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [3, 2], "data": [0.1, 0.9, None, None, 3.0, 4.0]},
            {"name": "name", "datatype": "BYTES", "shape": [3], "data": ["a", 'b"', "ü"]},
        ],
    }
    one = json.loads(replied(start=2, rows=1)[0])
    assert [output["data"] for output in one["outputs"]] == [[3.0, 4.0], ["ü"]]
    assert [output["shape"] for output in one["outputs"]] == [[1, 2], [1]]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.none() | st.text())
def test_a_reply_says_the_same_whether_its_outputs_were_asked_for_or_not(rows: list[int], identity: str | None) -> None:
    total = sum(rows)
    computed = Computed([np.arange(2.0 * total, dtype=np.float32).reshape(total, 2), np.array(["a"] * total, np.object_)], together=True)
    form = ReplyForm(ONE, 'm"', "7")
    for number, count in enumerate(rows):
        result = Result(computed, sum(rows[:number]), count)
        assert reply(result, Asked(identity, (), ()), form) == reply(result, Asked(identity, (0, 1), (False, False)), form)


def test_a_reply_has_the_outputs_that_were_asked_for_as_they_were_asked_for() -> None:
    _, asked = read(body(tensor(), id='"1"', outputs=[{"name": "name"}, {"name": "y", "parameters": {"binary_data": True}}]))
    content, json_length = replied(asked)
    document = json.loads(content[:json_length])
    assert document["id"] == '"1"'
    assert [output["name"] for output in document["outputs"]] == ["name", "y"]
    assert document["outputs"][1]["parameters"] == {"binary_data_size": 24}
    assert content[json_length:] == OUTPUTS[0].tobytes()


@given(st.binary() | st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_anything_is_read_or_refused(content: Any) -> None:
    sent = content if isinstance(content, bytes) else json.dumps({"inputs": [tensor(data=content if isinstance(content, list) else [content])]}).encode()
    with suppress(Refused):
        read(sent)
