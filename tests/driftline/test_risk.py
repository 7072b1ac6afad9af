"""From labels to an alert, through a service that runs, and through the death of its monitor."""

import asyncio
import json
import os
import signal
import time

from aiohttp import ClientSession

from tests.driftline.conftest import REQUEST

SETTINGS = """
drift: {window_rows: 50, window_min_rows: 10, budget: 1 per 20 windows}
labels: {baseline_rows: 500}
"""


async def ask(service, first, count):
    """Send requests with ids of ours; the model answers 0.25 to each."""
    async with ClientSession() as session:
        for number in range(first, first + count):
            async with session.post(f"{service.url}/v2/models/m/infer", data=REQUEST, headers={"X-Request-Id": f"r-{number}"}) as reply:
                assert reply.status == 200


async def label(service, first, count, value):
    lines = [json.dumps({"request_id": f"r-{number}", "label": value}) for number in range(first, first + count)]
    async with (
        ClientSession() as session,
        session.post(f"{service.admin}/api/v1/labels", data="\n".join(lines), headers={"Content-Type": "application/x-ndjson"}) as reply,
    ):
        assert (await reply.json())["accepted"] == count


async def shown(service, path):
    async with ClientSession() as session, session.get(f"{service.admin}/api/v1/{path}") as reply:
        return await reply.json()


async def risk_when(service, is_so, within_seconds=40):
    """Return what the API says of the model's risk once it is so."""
    deadline = time.monotonic() + within_seconds
    while True:
        models = (await shown(service, "models"))["models"]
        risk = next((model["risk"] for model in models if model["model"] == "m"), None)
        if risk and is_so(risk):
            return risk
        assert time.monotonic() < deadline, (risk, service.log.read_text())
        await asyncio.sleep(0.1)


async def test_labels_that_contradict_the_model_raise_an_alert_that_outlives_a_kill(up, upstream, tmp_path, driftline):
    settings = tmp_path / "driftline.yaml"
    settings.write_text(SETTINGS)
    service = await up("--upstream", upstream.url, "--config", str(settings))
    await ask(service, 0, 700)
    await service.settled_counts()
    await label(service, 0, 550, 0.25)
    risk = await risk_when(service, lambda risk: risk["windows"] == 1)
    assert (risk["state"], risk["baseline"]["risk"], risk["baseline"]["loss"]) == ("ok", 0.0, "absolute_error")
    os.kill(service.monitor(), signal.SIGKILL)
    await service.ready()
    await label(service, 550, 150, 9)
    risk = await risk_when(service, lambda risk: risk["windows"] == 4)
    assert (risk["state"], risk["rows"], risk["open_rows"]) == ("firing", 200, 0)
    (alert,) = [alert for alert in (await shown(service, "alerts"))["alerts"] if alert["name"] == "ModelPerformanceDrop"]
    assert (alert["state"], alert["labels"]["model"], alert["features"]) == ("firing", "m", ["risk"])
    assert "mean absolute error 0 → 1" in alert["description"]
    windows = (await shown(service, "models/m/windows?kind=risk"))["windows"]
    assert [(window["index"], window["rows"], window["alert"]) for window in windows] == [(3, 50, False), (2, 50, False), (1, 50, True), (0, 50, False)]
    assert 'driftline_risk_ratio{model="m"} 1.0' in await service.metrics()
    assert await service.stop() == 0
    found = await asyncio.to_thread(driftline, "sql", "--data-dir", str(service.data_dir), "SELECT count() FROM labelled FINAL WHERE correct")
    assert (found.returncode, "550" in found.stdout) == (0, True)
