"""Each protocol over a real socket."""

import asyncio
import gzip
import json
import shutil

import numpy as np
import pytest

from tests.runtime.graphs import WEIGHTS, counting, doubling, echoing, gathering, summing

ROW = [1.0, 2.0, 3.0]
EXPECTED = (np.array(ROW, np.float32) @ WEIGHTS).tolist()


async def test_a_row_is_answered_over_v2_v1_and_mlflow(add_linear, serve) -> None:
    add_linear("m", 3)
    running = await serve()
    assert await running.infer([ROW]) == (200, pytest.approx(EXPECTED))
    assert await running.post("/v1/models/m:predict", {"instances": [ROW, ROW]}) == (200, {"predictions": [pytest.approx(EXPECTED)] * 2})
    assert await running.post("/v1/models/m/versions/3:predict", {"inputs": {"x": [ROW]}}) == (200, {"outputs": [pytest.approx(EXPECTED)]})
    for body in ({"inputs": [ROW]}, {"dataframe_split": {"columns": ["a", "b", "c"], "data": [ROW]}}, {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]}):
        assert await running.post("/invocations", body) == (200, {"predictions": [pytest.approx(EXPECTED)]})
    csv = await running.post("/models/m/invocations", b"a,b,c\n1,2,3\n", **{"Content-Type": "text/csv"})
    assert csv == (200, {"predictions": [pytest.approx(EXPECTED)]})


async def test_binary_tensors_go_in_and_come_out(add_linear, serve) -> None:
    add_linear()
    running = await serve()
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
    document = json.dumps({"id": "7", "inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    body = document + np.array(ROW, np.float32).tobytes()
    headers = {"Inference-Header-Content-Length": str(len(document)), "Content-Encoding": "gzip"}
    async with running.session.post(running.url + "/v2/models/m/infer", data=gzip.compress(body), headers=headers) as reply:
        content = await reply.read()
        length = int(reply.headers["Inference-Header-Content-Length"])
        assert reply.content_type == "application/octet-stream"
    assert json.loads(content[:length])["id"] == "7"
    assert np.frombuffer(content[length:], np.float32).tolist() == pytest.approx(EXPECTED)


async def test_the_server_and_its_models_describe_themselves(add_linear, serve) -> None:
    add_linear("m", 1)
    add_linear("m", 2, settings="labels: [stable]")
    running = await serve()
    assert (await running.get("/v2"))[1]["name"] == "driftline"
    assert await running.get("/v2/health/live") == (200, {"live": True})
    assert await running.get("/v2/health/ready") == (200, {"ready": True})
    assert await running.get("/v2/models/m/versions/stable/ready") == (200, {"name": "m", "ready": True})
    status, described = await running.get("/v2/models/m")
    assert status == 200
    assert described["versions"] == ["1", "2"]
    assert described["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    assert described["parameters"]["labels"] == ["stable"]
    assert len(described["parameters"]["uuid"]) == 36
    assert [each["state"] for each in (await running.get("/v1/models/m"))[1]["model_version_status"]] == ["AVAILABLE"] * 2
    assert (await running.get("/ping"))[0] == 200
    async with running.session.head(running.url + "/v2") as reply:
        assert (reply.status, await reply.read()) == (200, b"")


async def test_versions_are_reached_by_number_by_label_and_the_newest_by_none(add_linear, serve) -> None:
    add_linear("m", 1, 1.0, settings="labels: [stable, old]")
    add_linear("m", 2, 2.0, settings="labels: stable")
    add_linear("m", 10, 10.0, settings="labels: canary")
    running = await serve()
    found = {name: (await running.infer([[1, 0, 0]], version=name))[1][0] / WEIGHTS[0, 0] for name in ("", "1", "2", "10", "stable", "old", "canary")}
    assert found == pytest.approx({"": 10, "1": 1, "2": 2, "10": 10, "stable": 2, "old": 1, "canary": 10})
    assert await running.infer([ROW], version="beta") == (404, "expected one of the versions or labels 10, canary, 2, stable, 1, old of m, found beta")


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v2/models/absent/infer", {}, 404, "expected one of the models m, found absent"),
        ("/v2/models/m/versions/9/infer", {}, 404, "expected one of the versions or labels 1 of m, found 9"),
        ("/v2/models/m/infer", b"{", 400, "expected JSON"),
        ("/v1/models/m:predict", {"instances": [[1]]}, 400, "input x: expected shape [-1, 3], found [1, 1]"),
        ("/v1/models/m:predict", {"instances": [[1, 2, 3], [1]]}, 400, "expected rows of equal length"),
        ("/v1/models/m:predict", {}, 400, 'expected a JSON object with "instances"'),
        ("/v1/models/m:predict", {"instances": [["a", "b", "c"]]}, 400, "expected numbers of FP32, found 'a'"),
        ("/v1/models/absent:predict", {}, 404, "found absent"),
        ("/nothing", {}, 404, "expected a path of Open Inference V2"),
        ("/v2/health/live", {}, 405, "expected the method GET, found POST"),
        ("/v2/models/m/infer", b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,NaN,3]}]}', 400, "found NaN at [0, 1]"),
    ],
)
async def test_what_cannot_be_answered_is_said_in_the_protocols_form(add_linear, serve, path: str, body, status: int, said: str) -> None:
    add_linear()
    running = await serve()
    found, reply = await running.post(path, body)
    assert found == status
    assert said in reply["error"]


async def test_mlflows_errors_have_a_code(add_linear, serve) -> None:
    add_linear()
    running = await serve()
    status, reply = await running.post("/invocations", {"inputs": [[1]]})
    assert (status, reply["error_code"]) == (400, "BAD_REQUEST")
    assert "expected shape [-1, 3], found [1, 1]" in reply["message"]
    add_linear("other")
    await running.until("/v2/models/other/ready", lambda status, _: status == 200)
    status, reply = await running.post("/invocations", {"inputs": [ROW]})
    assert status == 404
    assert reply["message"] == "expected a path with the name of a model, as 2 are served: m, other"


async def test_rows_that_come_together_are_computed_together_and_each_gets_its_own(add_linear, serve) -> None:
    add_linear()
    running = await serve()
    rows = [[[float(number), 0.0, 0.0]] * (1 + number % 3) for number in range(60)]
    replies = await asyncio.gather(*(running.infer(each) for each in rows))
    for each, (status, values) in zip(rows, replies, strict=True):
        assert status == 200
        assert values == pytest.approx((np.array(each, np.float32) @ WEIGHTS).reshape(-1).tolist(), rel=1e-5)
    async with running.session.get(running.url + "/metrics") as reply:
        page = await reply.text()
    assert 'driftline_runtime_requests_total{model="m",version="1"} 60.0' in page
    assert f'driftline_runtime_rows_total{{model="m",version="1"}} {float(sum(map(len, rows)))}' in page
    assert 'driftline_runtime_queue_duration_seconds_count{model="m",version="1"} 60.0' in page


async def test_shapes_that_differ_are_padded_where_the_model_allows_and_answered_alike_where_not(tmp_path, serve) -> None:
    doubling(tmp_path / "models/plain/1/model.onnx")
    doubling(tmp_path / "models/padded/1/model.onnx")
    (tmp_path / "models/padded/1/model.yaml").write_text("batching: {pad: true}")
    running = await serve()
    for model in ("plain", "padded"):
        lengths = [1, 5, 3, 7, 8, 2] * 4
        bodies = [{"inputs": [{"name": "x", "shape": [1, n], "datatype": "FP32", "data": list(range(n))}]} for n in lengths]
        replies = await asyncio.gather(*(running.post(f"/v2/models/{model}/infer", body) for body in bodies))
        for n, (status, reply) in zip(lengths, replies, strict=True):
            assert status == 200, reply
            assert reply["outputs"][0]["shape"] == [1, n]
            assert reply["outputs"][0]["data"] == [2.0 * value for value in range(n)]


async def test_a_model_whose_rows_depend_on_each_other_is_never_given_two_requests_at_once(tmp_path, serve) -> None:
    summing(tmp_path / "models/m/1/model.onnx")
    running = await serve()
    body = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 3]}]}
    replies = await asyncio.gather(*(running.post("/v2/models/m/infer", body) for _ in range(30)))
    assert [reply["outputs"][0]["data"] for _, reply in replies] == [[0.25, 0.75]] * 30


async def test_a_request_on_which_the_model_fails_is_not_its_neighbours_fault(tmp_path, serve) -> None:
    gathering(tmp_path / "models/m/1/model.onnx")
    running = await serve()
    bodies = [{"inputs": [{"name": "i", "shape": [1], "datatype": "INT64", "data": [7 if number == 5 else 1]}]} for number in range(20)]
    replies = await asyncio.gather(*(running.post("/v2/models/m/infer", body) for body in bodies))
    assert [status for status, _ in replies] == [500 if number == 5 else 200 for number in range(20)]
    assert "the model failed on this request" in replies[5][1]["error"]


async def test_texts_are_served(tmp_path, serve) -> None:
    echoing(tmp_path / "models/m/1/model.onnx")
    running = await serve()
    bodies = [{"inputs": [{"name": "x", "shape": [2], "datatype": "BYTES", "data": [f"a{n}", "ü"]}]} for n in range(9)]
    replies = await asyncio.gather(*(running.post("/v2/models/m/infer", body) for body in bodies))
    assert [reply["outputs"][0]["data"] for _, reply in replies] == [[f"a{n}", "ü"] for n in range(9)]


def rounds(count: int, **parameters: int) -> dict:
    return {"inputs": [{"name": "rounds", "shape": [1], "datatype": "INT64", "data": [count]}], "parameters": parameters}


async def test_a_model_that_hangs_is_stopped_and_others_go_on_meanwhile(tmp_path, add_linear, serve) -> None:
    counting(tmp_path / "models/slow/1/model.onnx")
    (tmp_path / "models/slow/1/model.yaml").write_text("timeout: 1s")
    add_linear()
    running = await serve()
    hanging = asyncio.create_task(running.post("/v2/models/slow/infer", rounds(10**9)))
    await asyncio.sleep(0.3)  # it began on the event loop, and was moved to a thread
    for _ in range(20):
        assert (await running.infer([ROW]))[0] == 200
    assert not hanging.done()
    status, reply = await hanging
    assert (status, reply["error"][:37]) == (504, "the request was not computed within 1")
    assert (await running.post("/v2/models/slow/infer", rounds(1)))[0] == 200
    assert (await running.infer([ROW]))[0] == 200


async def test_a_request_may_ask_for_less_time_and_for_a_place_before_others(tmp_path, serve) -> None:
    counting(tmp_path / "models/m/1/model.onnx")
    (tmp_path / "models/m/1/model.yaml").write_text("timeout: 20s")
    running = await serve()
    one = asyncio.create_task(running.post("/v2/models/m/infer", rounds(10**9)))
    await asyncio.sleep(0.3)
    status, reply = await running.post("/v2/models/m/infer", rounds(1, timeout=100_000))
    assert (status, "not computed within 0." in reply["error"]) == (504, True)
    one.cancel()  # the client goes away
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_more_than_may_wait_is_refused_with_when_to_come_again(tmp_path, serve) -> None:
    counting(tmp_path / "models/m/1/model.onnx")
    (tmp_path / "models/m/1/model.yaml").write_text("max_waiting: 2\ntimeout: 1s")
    running = await serve()
    first = asyncio.create_task(running.post("/v2/models/m/infer", rounds(10**9)))
    await asyncio.sleep(0.3)
    waiting = [asyncio.create_task(running.post("/v2/models/m/infer", rounds(1))) for _ in range(2)]
    await asyncio.sleep(0.1)
    async with running.session.post(running.url + "/v2/models/m/infer", data=json.dumps(rounds(1))) as reply:
        assert reply.status == 503
        assert int(reply.headers["Retry-After"]) >= 1
        assert (await reply.json())["error"] == "2 requests wait for m already"
    await asyncio.gather(first, *waiting)


async def test_a_body_over_the_limit_is_refused_before_it_is_read(add_linear, serve) -> None:
    add_linear()
    running = await serve(max_body=1000)
    reader, writer = await asyncio.open_connection(*running.url.removeprefix("http://").split(":"))
    writer.write(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
    reply = await reader.read()
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"at most 1000 bytes" in reply
    writer.close()


async def test_pipelined_requests_are_answered_in_order_also_in_single_bytes(add_linear, serve) -> None:
    add_linear()
    running = await serve()
    tensor = json.dumps({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": ROW}]}).encode()
    infer = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(tensor), tensor)
    chunked = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(tensor), tensor)
    live = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    sent = infer + live + chunked + live * 50 + last
    for step in (len(sent), 1):
        reader, writer = await asyncio.open_connection(*running.url.removeprefix("http://").split(":"))
        for at in range(0, len(sent), step):
            writer.write(sent[at : at + step])
            await writer.drain()
        reply = await reader.read()
        writer.close()
        assert reply.count(b"HTTP/1.1 200 OK") == 54
        assert reply.index(b'"outputs"') < reply.index(b'"live"') < reply.rindex(b'"outputs"') < reply.rindex(b'"live"') < reply.index(b'"extensions"')


@pytest.mark.parametrize("sent", [b"GARBAGE\r\n\r\n", b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"G" * 70_000])
async def test_what_is_not_http_is_answered_and_closed(add_linear, serve, sent: bytes) -> None:
    add_linear()
    running = await serve()
    reader, writer = await asyncio.open_connection(*running.url.removeprefix("http://").split(":"))
    writer.write(sent)
    reply = await reader.read()
    writer.close()
    assert reply.split()[1] in {b"400", b"431", b"505"}
    assert b"Connection: close" in reply


async def test_a_stopping_server_answers_what_is_in_flight_and_says_that_it_stops(tmp_path, serve) -> None:
    counting(tmp_path / "models/m/1/model.onnx")
    running = await serve()
    under_way = asyncio.create_task(running.post("/v2/models/m/infer", rounds(20_000)))
    await asyncio.sleep(0.1)
    running.stop.set()
    status, _ = await under_way
    assert status == 200


async def test_an_empty_directory_is_served_until_there_is_something_in_it(serve, add_linear) -> None:
    running = await serve()
    assert await running.get("/v2/health/ready") == (200, {"ready": True})
    assert (await running.infer([ROW]))[0] == 404
    add_linear()
    await running.until("/v2/models/m/ready", lambda status, _: status == 200)
    shutil.rmtree(running.models / "m")
    await running.until("/v2/models/m/ready", lambda status, _: status == 404)


async def test_thousands_of_pipelined_requests_are_answered_one_after_the_other(add_linear, serve) -> None:
    """None within the one before: the stack would not hold them."""
    add_linear()
    running = await serve()
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": ROW}]}).encode()
    request = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    reader, writer = await asyncio.open_connection(*running.url.removeprefix("http://").split(":"))
    sending = asyncio.create_task(write_all(writer, request * 3000 + b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    reply = await reader.read()
    await sending
    writer.close()
    assert reply.count(b"HTTP/1.1 200 OK") == 3001


async def write_all(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def test_a_request_without_rows_gets_none_alone_and_among_others(add_linear, serve) -> None:
    add_linear()
    running = await serve()
    assert await running.infer([]) == (200, [])
    replies = await asyncio.gather(*(running.infer([ROW] * (number % 3)) for number in range(12)))
    assert [(status, len(values)) for status, values in replies] == [(200, 2 * (number % 3)) for number in range(12)]
