import json
import struct

import pytest

from .making import HASHER, body, exchange, policy

SECRET = {"name": "ssn", "shape": [2], "datatype": "INT64", "data": [123, 456]}
OPEN = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, 2.5]}


def kept(content: bytes, *rules: tuple[str, str], **fields: str):
    return policy(*rules).kept(exchange(body(content, **fields))).exchange.request


def binary(*tensors: tuple[str, str, bytes]) -> tuple[bytes, str]:
    entries = [{"name": name, "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": len(data)}} for name, datatype, data in tensors]
    document = json.dumps({"inputs": entries}).encode()
    return document + b"".join(data for *_, data in tensors), str(len(document))


def split(request) -> tuple[list[dict], bytes]:
    length = int(request.fields["inference-header-content-length"])
    return json.loads(request.content[:length])["inputs"], request.content[length:]


def test_a_tensor_is_dropped_by_its_name_from_requests_and_replies() -> None:
    assert json.loads(kept(json.dumps({"inputs": [SECRET, OPEN], "id": "7"}).encode(), ("tensor:ssn", "drop")).content) == {"inputs": [OPEN], "id": "7"}
    reply = body(json.dumps({"outputs": [OPEN, SECRET]}).encode())
    assert json.loads(policy(("tensor:ssn", "drop")).kept(exchange(None, reply)).exchange.response.content) == {"outputs": [OPEN]}


def test_a_masked_tensor_keeps_its_type_and_a_hashed_one_is_text() -> None:
    content = json.dumps({"inputs": [SECRET, OPEN]}).encode()
    assert json.loads(kept(content, ("tensor:ssn", "mask")).content)["inputs"] == [SECRET | {"data": [0, 0]}, OPEN]
    hashed = [HASHER(b"123"), HASHER(b"456")]
    assert json.loads(kept(content, ("tensor:ssn", "hash")).content)["inputs"] == [SECRET | {"datatype": "BYTES", "data": hashed}, OPEN]


def test_binary_data_goes_with_its_tensor() -> None:
    content, length = binary(("x", "FP32", b"\1\2\3\4"), ("ssn", "INT64", struct.pack("<q", 123)), ("y", "UINT8", b"z"))
    tensors, data = split(kept(content, ("tensor:ssn", "drop"), inference_header_content_length=length))
    assert [(tensor["name"], tensor["parameters"]["binary_data_size"]) for tensor in tensors] == [("x", 4), ("y", 1)]
    assert data == b"\1\2\3\4z"


def test_binary_data_is_masked_in_place_and_hashed_to_texts() -> None:
    texts = b"\3\0\0\0Ada\2\0\0\0\xff\xfe"
    content, length = binary(("ssn", "INT64", struct.pack("<qq", 123, -1)), ("name", "BYTES", texts), ("x", "FP16", b"ab"))
    tensors, data = split(kept(content, ("tensor:ssn", "mask"), ("tensor:name", "mask"), inference_header_content_length=length))
    assert data == bytes(16) + b"\3\0\0\0***\3\0\0\0***" + b"ab"
    assert [tensor["parameters"]["binary_data_size"] for tensor in tensors] == [16, 14, 2]
    tensors, data = split(kept(content, ("tensor:ssn", "hash"), ("tensor:x", "hash"), inference_header_content_length=length))
    assert [tensor["datatype"] for tensor in tensors] == ["BYTES", "BYTES", "BYTES"]
    assert data.startswith(struct.pack("<I", 35) + HASHER(b"123").encode() + struct.pack("<I", 35) + HASHER(b"-1").encode() + texts)
    assert tensors[0]["parameters"]["binary_data_size"] == 2 * 39


@pytest.mark.parametrize(
    "content",
    [
        {"inputs": {"ssn": [1], "x": [2]}},
        {"instances": [{"ssn": 1, "x": 2}]},
        {"predictions": [{"ssn": 1, "x": 2}]},
        {"outputs": {"ssn": 1, "x": 2}},
    ],
)
def test_formats_that_name_tensors_by_members_are_understood(content: dict) -> None:
    request = json.loads(kept(json.dumps(content).encode(), ("tensor:ssn", "drop")).content)
    assert "ssn" not in json.dumps(request)
    assert "x" in json.dumps(request)


@pytest.mark.parametrize(
    "content",
    [b'{"inputs": [1]}', b'{"inputs": [{"name": "ssn", "parameters": {"binary_data_size": "4"}}]}', b'{"inputs": [{"parameters": {"binary_data_size": 4}}]}'],
)
def test_what_is_no_tensor_is_not_kept(content: bytes) -> None:
    assert kept(content, ("tensor:ssn", "drop")).content == b""


@pytest.mark.parametrize("rule", ["tensor:a", "$.id"])
def test_binary_data_that_no_tensor_claims_is_not_kept(rule: str) -> None:
    content, length = binary(("x", "FP32", b"\1\2\3\4"))
    assert kept(content + b"more", (rule, "drop"), inference_header_content_length=length).content == b""
    assert kept(content[:-1], (rule, "drop"), inference_header_content_length=length).content == b""
    assert kept(b"raw bytes", (rule, "drop"), inference_header_content_length="0").content == b""
    assert kept(b"[1]raw", (rule, "drop"), inference_header_content_length="3").content == b""
    assert kept(content, (rule, "drop"), inference_header_content_length=length).content != b""


@pytest.mark.parametrize("rule", ["$.inputs[0].data", "$..data", "$.*"])
def test_a_path_that_may_mean_binary_data_keeps_no_body_that_has_any(rule: str) -> None:
    content, length = binary(("x", "FP32", b"\1\2\3\4"))
    assert kept(content, (rule, "drop"), inference_header_content_length=length).content == b""
