"""Instances, and models that misbehave."""

import asyncio
import json
import time

from config.units import Bytes
from tests.runtime.graphs import counting

LONG = 10**9


def rounds(count: int) -> dict:
    return {"inputs": [{"name": "rounds", "shape": [1], "datatype": "INT64", "data": [count]}]}


async def instances(running) -> float:
    async with running.session.get(running.url + "/metrics") as reply:
        page = await reply.text()
    return float(next(line for line in page.splitlines() if line.startswith("driftline_runtime_instances{")).split()[-1])


async def test_requests_that_wait_get_one_more_instance(tmp_path, serve) -> None:
    counting(tmp_path / "models/m/1/model.onnx")
    (tmp_path / "models/m/1/model.yaml").write_text("instances: {maximum: 3, queue_delay: 10ms}\ntimeout: 60s")
    running = await serve()
    assert await instances(running) == 1
    asked = [asyncio.create_task(running.post("/v2/models/m/infer", rounds(LONG))) for _ in range(3)]
    async with asyncio.timeout(30):
        while await instances(running) < 3:
            await asyncio.sleep(0.1)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


async def test_what_nobody_waits_for_is_not_computed(tmp_path, serve) -> None:
    counting(tmp_path / "models/m/1/model.onnx")
    (tmp_path / "models/m/1/model.yaml").write_text("timeout: 300ms")
    running = await serve()
    status, _ = await running.post("/v2/models/m/infer", rounds(LONG))
    assert status == 504
    async with asyncio.timeout(10):  # the only instance is free again, long before the loop would have ended
        while (await running.post("/v2/models/m/infer", rounds(1)))[0] != 200:
            await asyncio.sleep(0.05)


async def test_what_a_client_has_left_is_stopped_and_counted(tmp_path, serve) -> None:
    counting(tmp_path / "models/m/1/model.onnx")
    running = await serve()
    asked = [asyncio.create_task(running.post("/v2/models/m/infer", rounds(LONG))) for _ in range(3)]
    await asyncio.sleep(0.3)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert (await running.post("/v2/models/m/infer", rounds(1)))[0] == 200
    async with running.session.get(running.url + "/metrics") as reply:
        page = await reply.text()
    assert 'driftline_runtime_request_errors_total{model="m",reason="gone",version="1"} 3.0' in page
    assert 'driftline_runtime_requests_total{model="m",version="1"} 4.0' in page


async def test_a_server_that_uses_too_much_memory_stops_in_order(tmp_path, add_linear, serve, caplog) -> None:
    add_linear()
    running = await serve(max_memory=Bytes(1))
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    status, _ = await running.post("/v2/models/m/infer", json.loads(json.dumps({"inputs": [tensor]})))
    assert status == 200
    async with asyncio.timeout(10):
        await running.stop.wait()
    assert "more than runtime.max_memory" in caplog.text


async def test_a_slow_model_does_not_slow_its_neighbour(tmp_path, add_linear, serve) -> None:
    counting(tmp_path / "models/slow/1/model.onnx")
    (tmp_path / "models/slow/1/model.yaml").write_text("timeout: 60s")
    add_linear()
    running = await serve()
    began = time.perf_counter()
    slow = asyncio.create_task(running.post("/v2/models/slow/infer", rounds(LONG)))
    await asyncio.sleep(0.3)
    for _ in range(50):
        assert (await running.infer([[1, 2, 3]]))[0] == 200
    assert not slow.done()
    assert time.perf_counter() - began < 30  # fifty of them behind each other would not be done within a minute
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
