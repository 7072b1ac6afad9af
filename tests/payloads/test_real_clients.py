"""Bodies as real client libraries write them."""

import io

import httpx
import pandas as pd
import pytest
import requests
from openai import InternalServerError, OpenAI

from records.payload import Tensor

FRAME = pd.DataFrame({"age": [41, 23], "city": ["Bonn", None], "income": [1.5, float("nan")]})
TABLE = [
    Tensor("age", "INT64", (2,), [41, 23]),
    Tensor("city", "BYTES", (2,), ["Bonn", None]),
    Tensor("income", "FP64", (2,), [1.5, None]),
]


def said(decoded):
    return {tensor.name: tensor.values for tensor in decoded.tensors}  # noqa: PD011 - a tensor of ours


@pytest.fixture
def asked_by_openai(body):
    """Return what OpenAI's client sends for a call."""

    def asked_by_openai(call):
        seen = []

        def answer(request):
            seen.append(request)
            return httpx.Response(500)

        transport = httpx.MockTransport(answer)
        client = OpenAI(base_url="http://model/v1", api_key="none", max_retries=0, http_client=httpx.Client(transport=transport))
        with client, pytest.raises(InternalServerError):
            call(client)
        (request,) = seen
        return request.url.path, body(request.content, content_type=request.headers["content-type"])

    return asked_by_openai


def test_openais_client_is_understood(decode_request, asked_by_openai):
    messages = [{"role": "user", "content": "Hi"}]
    decoded = decode_request(*asked_by_openai(lambda client: client.chat.completions.create(model="m", messages=messages, temperature=0, stream=True)))
    assert decoded.model == "m"
    assert said(decoded) == {"prompt": ["Hi"], "prompt_characters": [2], "messages": [1], "stream": [True], "temperature": [0]}
    decoded = decode_request(*asked_by_openai(lambda client: client.embeddings.create(model="m", input=["a", "bc"])))
    assert decoded.tensors[1] == Tensor("input_characters", "INT64", (2,), [1, 2])


def test_a_form_of_requests_is_understood(decode_request, body):
    files = {"data": ("in.json", io.BytesIO(b'{"age": 41}'), "application/json"), "größe": (None, "12"), "image": ("cat.jpg", b"\xff\xd8\r\n--\r\n")}
    prepared = requests.Request("POST", "http://model/predictions/m", files=files).prepare()
    decoded = decode_request("/predictions/m", body(prepared.body, content_type=prepared.headers["Content-Type"]))
    assert decoded.tensors == [Tensor("age", "INT64", (1,), [41]), Tensor("größe", "INT64", (1,), [12])]


@pytest.mark.parametrize("orient", ["split", "records"])
def test_data_frames_of_pandas_are_understood(decode_request, body, orient):
    document = f'{{"dataframe_{orient}": {FRAME.to_json(orient=orient)}}}'.encode()
    assert decode_request("/invocations", body(document)).tensors == TABLE


def test_csv_of_pandas_is_understood_with_and_without_a_header(decode_request, body):
    named = decode_request("/invocations", body(FRAME.to_csv(index=False).encode(), content_type="text/csv"))
    assert said(named) == {"age": [41.0, 23.0], "city": ["Bonn", None], "income": [1.5, None]}
    bare = decode_request("/invocations", body(FRAME.to_csv(index=False, header=False).encode(), content_type="text/csv"))
    assert (bare.format, bare.tensors) == ("sagemaker", [Tensor("inputs", "JSON", (2, 3), [41.0, "Bonn", 1.5, 23.0, None, None])])
