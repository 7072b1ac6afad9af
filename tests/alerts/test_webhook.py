"""The webhook against a real server."""

import asyncio
import contextlib

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from alerts.outbox import Backoff, Outbox
from alerts.webhook import WebhookNotifier, fingerprint, message
from config.addresses import Endpoint
from records.alert import AlertState
from records.ports import NotDeliveredError

CONSOLE = "http://127.0.0.1:8081"


class Receiver:
    """Plays each behaviour in turn, one per request, then takes everything."""

    def __init__(self, *behaviours: str) -> None:
        self.behaviours = list(behaviours)
        self.messages = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        match self.behaviours.pop(0) if self.behaviours else "take":
            case "fail":
                return web.Response(status=500, text="out of order")
            case "hang":
                await asyncio.sleep(30)
            case "reset":
                request.transport.abort()
                return web.Response()
            case "take and reset":
                request.transport.abort()
            case "move":
                raise web.HTTPFound("/elsewhere")
        self.messages.append(body)
        return web.Response()

    @contextlib.asynccontextmanager
    async def serve(self):
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", self.handle)
        async with TestServer(app, shutdown_timeout=0.1) as server:
            yield str(server.make_url("/hook"))


async def test_the_message_arrives_in_alertmanagers_form(make_alert):
    receiver = Receiver()
    async with receiver.serve() as url:
        await WebhookNotifier(Endpoint.parse(url), CONSOLE).send([make_alert()])
    labels = {"alertname": "ModelDataDrift", "severity": "page", "model": "fraud", "version": "3"}
    annotations = {
        "summary": "fraud: data drift in mean area",
        "description": "line one\nline two",
        "features": "mean area, worst area",
        "since": "2025-11-20T12:00:00.000Z",
        "runbook_url": "docs/runbooks/README.md#modeldatadrift",
        "console_url": "http://127.0.0.1:8081/api/v1/models/fraud",
        "report_url": "http://127.0.0.1:8081/api/v1/models/fraud/windows/7/report?baseline=00ff",
    }
    assert receiver.messages == [
        {
            "version": "4",
            "groupKey": '{}:{alertname="ModelDataDrift"}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "driftline",
            "groupLabels": {"alertname": "ModelDataDrift"},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": CONSOLE,
            "alerts": [
                {
                    "status": "firing",
                    "labels": labels,
                    "annotations": annotations,
                    "startsAt": "2025-11-20T12:01:00.000Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://127.0.0.1:8081/api/v1/models/fraud",
                    "fingerprint": fingerprint(labels),
                }
            ],
        }
    ]


def test_a_resolved_alert_has_its_end_and_the_fingerprint_that_it_fired_with(make_alert):
    [fired] = message([make_alert()], CONSOLE)["alerts"]
    resolved = message([make_alert(state=AlertState.RESOLVED)], CONSOLE)
    assert resolved["status"] == "resolved"
    assert resolved["alerts"][0]["endsAt"] == "2025-11-20T12:02:00.000Z"
    assert resolved["alerts"][0]["fingerprint"] == fired["fingerprint"]


def test_a_message_of_several_alerts_shares_what_they_have_in_common(make_alert):
    group = message([make_alert("a", state=AlertState.RESOLVED), make_alert("b")], CONSOLE)
    assert group["status"] == "firing"
    assert group["commonLabels"] == {"alertname": "ModelDataDrift", "severity": "page", "version": "3"}
    assert "summary" not in group["commonAnnotations"]
    assert group["commonAnnotations"]["features"] == "mean area, worst area"


def test_a_label_without_a_value_is_left_out(make_alert):
    [alert] = message([make_alert(version="")], CONSOLE)["alerts"]
    assert "version" not in alert["labels"]


def test_the_fingerprint_is_the_one_that_alertmanager_computes():
    # As Alertmanager 0.25 answered to `GET /api/v2/alerts` for an alert with these labels.
    assert fingerprint({"alertname": "ModelDataDrift", "severity": "page", "model": "fraud", "version": "3"}) == "d46f5ca3cb997eda"


@pytest.mark.parametrize(
    ("behaviours", "statuses"),
    [
        (("fail", "reset", "hang", "move", "take", "fail", "take"), ["firing", "resolved"]),
        (("take and reset",), ["firing", "firing", "resolved"]),  # at least once: what was not acknowledged is sent again
    ],
)
async def test_a_receiver_that_recovers_has_got_every_change_in_order(make_alert, behaviours, statuses):
    receiver = Receiver(*behaviours)
    async with receiver.serve() as url:
        outbox = Outbox("webhook", WebhookNotifier(Endpoint.parse(url), CONSOLE, timeout_seconds=0.2), backoff=Backoff(0.001, 0.002))
        task = asyncio.create_task(outbox.run())
        outbox.put(make_alert())
        outbox.put(make_alert(state=AlertState.RESOLVED))
        await asyncio.wait_for(outbox.drained(), 20)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert [message["status"] for message in receiver.messages] == statuses


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        ("fail", "the webhook answered 500 'out of order'"),
        ("move", "the webhook answered 302"),
        ("hang", "the webhook did not answer within 0.2 s"),
        ("reset", "the webhook cannot be reached: "),
    ],
)
async def test_what_went_wrong_is_said_in_one_line(make_alert, behaviour, text):
    async with Receiver(behaviour).serve() as url:
        with pytest.raises(NotDeliveredError, match=text) as raised:
            await WebhookNotifier(Endpoint.parse(url), CONSOLE, timeout_seconds=0.2).send([make_alert()])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hook", "http://no.such.invalid/"])
async def test_nobody_there_is_not_delivered(make_alert, url):
    with pytest.raises(NotDeliveredError, match="cannot be reached"):
        await WebhookNotifier(Endpoint.parse(url), CONSOLE).send([make_alert()])
