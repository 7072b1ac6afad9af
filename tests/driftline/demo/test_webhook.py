import time

import aiohttp

from driftline.demo.webhook import Webhook


def message(status="firing", fingerprint="f", features="mean area, worst area"):
    alert = {
        "status": status,
        "labels": {"alertname": "ModelDataDrift", "severity": "page", "model": "tumour"},
        "annotations": {"summary": "The inputs of tumour drifted", "features": features},
        "startsAt": "2026-11-20T12:00:00Z",
        "fingerprint": fingerprint,
    }
    return {"version": "4", "status": status, "alerts": [alert]}


async def told(*messages):
    async with Webhook() as webhook, aiohttp.ClientSession() as session:
        for content in messages:
            async with session.post(webhook.url, json=content) as response:
                assert response.status == 200
        return webhook.firing


async def test_an_alert_is_remembered_with_its_features_and_the_time_of_its_arrival():
    before_seconds = time.time()
    (alert,) = await told(message())
    assert before_seconds <= alert.at_seconds <= time.time()
    assert (alert.name, alert.model, alert.features) == ("ModelDataDrift", "tumour", ("mean area", "worst area"))


async def test_a_repeated_delivery_counts_once():
    assert len(await told(message(), message(), message(fingerprint="another"))) == 2


async def test_a_resolved_alert_is_not_a_firing_one():
    assert await told(message(status="resolved")) == []


async def test_an_alert_without_features_names_none():
    (alert,) = await told(message(features=""))
    assert alert.features == ()
