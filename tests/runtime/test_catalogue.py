"""Versions come, fail and go while they are served."""

import asyncio
import json
import shutil

import pytest

from runtime import verification
from tests.runtime.graphs import WEIGHTS

ROW = [[1.0, 0.0, 0.0]]


async def scale_of(running, version: str = "") -> float:
    status, values = await running.infer(ROW, version=version)
    assert status == 200, values
    return round(values[0] / float(WEIGHTS[0, 0]), 3)


async def index(running) -> dict[str, tuple[str, str]]:
    return {f"{each['name']}/{each['version']}": (each["state"], each["reason"]) for each in (await running.post("/v2/repository/index", {}))[1]}


async def test_a_new_version_takes_over_without_a_failed_request(add_linear, serve) -> None:
    add_linear("m", 1, 1.0)
    running = await serve()
    seen: list[float] = []
    stop = asyncio.Event()

    async def client() -> None:
        while not stop.is_set():
            seen.append(await scale_of(running))

    clients = [asyncio.create_task(client()) for _ in range(4)]
    for number in (2, 3, 4):
        add_linear("m", number, float(number))
        async with asyncio.timeout(30):
            while not seen or seen[-1] < number:
                await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*clients)
    assert sorted(set(seen)) == [1, 2, 3, 4]


async def test_a_version_that_makes_way_for_an_older_one_in_the_same_instant_goes_when_that_one_serves(add_linear, serve) -> None:
    going = add_linear(number=2, scale=2)
    running = await serve()
    answers: list[float] = []

    async def client() -> None:
        while not answers or answers[-1] != pytest.approx(WEIGHTS[0, 0]):
            status, values = await running.infer([[1, 0, 0]])
            assert status == 200, values
            answers.append(values[0])

    asking = asyncio.create_task(client())
    await asyncio.sleep(0.05)
    add_linear(number=1)
    shutil.rmtree(going)
    async with asyncio.timeout(30):
        await asking
    assert answers[0] == pytest.approx(2 * WEIGHTS[0, 0])


@pytest.mark.parametrize(("taken", "told"), [([100, 350], [250.0]), ([400, 100], [0.0]), ([None, None], [])], ids=["more", "freed by others", "no CUDA"])
async def test_what_a_version_takes_on_the_device_is_told_where_it_can_be(add_linear, serve, monkeypatch, taken: list[int | None], told: list[float]) -> None:
    monkeypatch.setattr(verification, "device_bytes", lambda device: taken.pop(0))
    add_linear()
    running = await serve()
    samples = (await running.get("/samples"))[1]
    assert [value for name, value in samples if name == ["driftline_runtime_device_memory_bytes", "m", "1"]] == told


async def test_a_version_that_was_written_again_is_loaded_again(add_linear, serve) -> None:
    directory = add_linear("m", 1, 1.0)
    running = await serve()
    before = (await running.get("/v2/models/m"))[1]["parameters"]["uuid"]
    other = add_linear("m", 99, 5.0)
    (other / "model.onnx").replace(directory / "model.onnx")
    await running.until("/v2/models/m/versions/1", lambda _, described: described.get("parameters", {}).get("uuid") != before)
    assert await scale_of(running, "1") == 5


@pytest.mark.parametrize("number", [1, 2])
async def test_a_corrupt_file_leaves_what_served_before(add_linear, serve, number: int, caplog) -> None:
    """Whether it is a new version, or comes over the one that serves."""
    directory = add_linear("m", 1, 1.0)
    running = await serve()
    corrupt = directory.with_name(str(number))
    corrupt.mkdir(exist_ok=True)
    (corrupt / "model.onnx").write_bytes(b"not a model")
    async with asyncio.timeout(30):
        while "cannot be loaded" not in (await index(running)).get(f"m/{number}", ("", ""))[1]:
            await asyncio.sleep(0.02)
    assert await scale_of(running) == 1
    assert (await index(running))["m/1"][0] == "READY"
    assert await running.get("/v2/health/ready") == (200, {"ready": True})
    assert "what served before goes on" in caplog.text


SAMPLE = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 0, 0]}]}


def recorded(value: float) -> str:
    return json.dumps([SAMPLE | {"outputs": [{"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [value, float(WEIGHTS[0, 1])]}]}])


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (recorded(0.5), "sample 1: y: expected 0.5 at [0, 0], as recorded, found -1.0; the tolerance is 0.001"),
        ("[]", "expected 1 to 1000 samples, found 0"),
        ("{", "expected a list of objects with inputs and outputs"),
        (json.dumps([{"inputs": [], "outputs": []}]), "expected the inputs x FP32[-1, 3], found none"),
        (None, "samples.json cannot be read: No such file or directory"),
    ],
)
async def test_a_version_that_does_not_reproduce_its_samples_does_not_serve(tmp_path, add_linear, serve, samples: str | None, reason: str) -> None:
    add_linear("m", 1, 1.0)
    running = await serve()
    making = add_linear("draft", 2, 1.0, settings="samples: samples.json")
    if samples is not None:
        (making / "samples.json").write_text(samples)
    making.rename(running.models / "m" / "2")
    async with asyncio.timeout(30):
        while reason not in (await index(running)).get("m/2", ("", ""))[1]:
            await asyncio.sleep(0.02)
    assert (await index(running))["m/2"][0] == "UNAVAILABLE"
    assert (await running.infer(ROW, version="2"))[0] == 503
    assert await scale_of(running) == 1


async def test_a_version_that_reproduces_its_samples_serves(add_linear, serve) -> None:
    directory = add_linear(settings="samples: samples.json")
    (directory / "samples.json").write_text(recorded(float(WEIGHTS[0, 0])))
    assert await scale_of(await serve()) == 1


async def test_models_are_loaded_and_unloaded_by_the_repository_api(add_linear, serve) -> None:
    add_linear("m", 1, 1.0)
    add_linear("m", 2, 2.0)
    running = await serve()
    assert await running.post("/v2/repository/models/m/unload", {}) == (200, {})
    assert (await running.infer(ROW)) == (503, "m does not serve now: unloaded")
    assert await index(running) == {"m/1": ("UNAVAILABLE", "unloaded"), "m/2": ("UNAVAILABLE", "unloaded")}
    await asyncio.sleep(0.2)  # the directory is looked at meanwhile
    assert (await running.infer(ROW))[0] == 503
    assert (await running.get("/v2/health/ready"))[0] == 200
    assert await running.post("/v2/repository/models/m/load", {}) == (200, {})
    assert await scale_of(running) == 2
    for action in ("load", "unload"):
        status, reply = await running.post(f"/v2/repository/models/absent/{action}", {})
        assert (status, "absent" in reply["error"]) == (404, True)


async def test_loading_a_model_that_cannot_be_says_why(tmp_path, serve) -> None:
    (tmp_path / "models/bad/1").mkdir(parents=True)
    (tmp_path / "models/bad/1/model.onnx").write_bytes(b"not a model")
    running = await serve()
    status, reply = await running.post("/v2/repository/models/bad/load", {})
    assert status == 400
    assert reply["error"].startswith("bad cannot be loaded: ")
    assert await running.get("/v2/health/ready") == (503, {"ready": False})


async def test_a_directory_that_goes_away_leaves_what_serves(add_linear, serve, tmp_path) -> None:
    add_linear()
    running = await serve()
    running.models.rename(tmp_path / "elsewhere")
    await asyncio.sleep(0.2)
    assert await scale_of(running) == 1
