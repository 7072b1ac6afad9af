from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from driftline.demo import measurements, models
from driftline.demo.service import Service


@asynccontextmanager
async def _serving(application):
    """Yield the URL of an aiohttp application on a free port."""
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="session")
def data():
    return measurements.load()


@pytest.fixture(scope="session")
def onnx(data, tmp_path_factory):
    """The served model and the challenger, as files by name."""
    directory = tmp_path_factory.mktemp("models")
    files = {"served": directory / "served.onnx", "challenger": directory / "challenger.onnx"}
    models.export_served(data, files["served"])
    models.export_challenger(data, files["challenger"])
    return files


@pytest.fixture
async def service(onnx):
    """A running service of the served model, and its URL."""
    made = Service(onnx["served"].read_bytes(), "tumour")
    async with _serving(made.application()) as url:
        yield url


@pytest.fixture(scope="session")
def serving():
    """Run an aiohttp application: `async with serving(application) as url`."""
    return _serving
