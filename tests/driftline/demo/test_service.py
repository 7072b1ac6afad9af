import asyncio
import subprocess
import sys

import aiohttp
import numpy as np
import onnxruntime
import pytest

from driftline.demo.traffic import encode

INFER = "/v2/models/tumour/infer"


async def test_it_answers_as_the_model_does(service, data, onnx):
    rows = data.pool[:4]
    tensor = {"name": "measurements", "shape": [4, 30], "datatype": "FP64", "data": rows.tolist()}
    async with aiohttp.ClientSession() as session, session.post(service + INFER, json={"inputs": [tensor]}) as response:
        reply = await response.json()
    model = onnxruntime.InferenceSession(onnx["served"].read_bytes(), providers=["CPUExecutionProvider"])
    labels, probabilities = model.run(None, {"measurements": rows.astype(np.float32)})
    label, probability = reply["outputs"]
    assert (reply["model_name"], label["name"], label["datatype"], label["shape"]) == ("tumour", "label", "INT64", [4])
    assert label["data"] == labels.tolist()
    assert (probability["name"], probability["datatype"], probability["shape"]) == ("probabilities", "FP32", [4, 2])
    assert np.allclose(probability["data"], probabilities.ravel())


async def test_it_counts_the_rows_that_it_answered_and_no_others(service, data):
    async with aiohttp.ClientSession() as session:
        for body in (encode(data.pool[0]), b"{}", encode(data.pool[1])):
            await session.post(service + INFER, data=body)
        async with session.get(service + "/v2/models/tumour/stats") as response:
            assert (await response.json())["model_stats"] == [{"name": "tumour", "inference_count": 2}]


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b'{"inputs": []}', b'{"inputs": [{"shape": [1, 2], "data": [1, 2]}]}', b'{"inputs": [{"shape": [1, 30], "data": ["x"]}]}']
)
async def test_a_body_that_it_does_not_understand_is_an_error_of_the_client(service, body):
    async with aiohttp.ClientSession() as session, session.post(service + INFER, data=body) as response:
        assert response.status == 400
        assert "expected one input of shape [n, 30]" in (await response.json())["error"]


async def test_it_runs_as_a_process_that_says_where_it_is_and_ends_on_sigterm(onnx):
    command = [sys.executable, "-m", "driftline.demo.service", "--model", str(onnx["served"]), "--name", "tumour"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    url = (await process.stdout.readline()).decode().strip()
    async with aiohttp.ClientSession() as session, session.get(url + "/v2/health/ready") as response:
        assert response.status == 200
    process.terminate()
    assert await process.wait() == 0


def test_it_knows_nothing_of_driftline():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, driftline.demo.service; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {"alerts", "config", "console", "detectors", "payloads", "proxy", "records", "runtime", "store"}
    assert not ours & {name.partition(".")[0] for name in loaded}
    assert {name for name in loaded if name.startswith("driftline")} == {"driftline", "driftline.demo", "driftline.demo.service"}
