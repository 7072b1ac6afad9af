"""Pagers, chat and mail: what their services are sent, at real sockets in their place."""

import asyncio
import json
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from apprise.plugins import pagerduty, slack

from alerts.opsgenie import OpsgenieNotifier
from alerts.service import service_of
from alerts.webhook import fingerprint, labels_of
from config.addresses import Address, Endpoint
from config.settings import MailSettings, ReceiverSettings
from records.alert import AlertState
from records.ports import NotDeliveredError

KEY = "0123456789abcdef0123456789abcdef"


class Service:
    """Remembers what it was asked, and answers as such services do."""

    opsgenie: Endpoint

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.status = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, await request.json() if request.can_read_body else {}, dict(request.headers)))
        if request.path.startswith("/services") and not self.status:
            return web.Response(text="ok")
        return web.json_response({"status": "success"}, status=self.status or 202)


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    async with TestServer(app) as server:
        root = str(server.make_url("")).rstrip("/")
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, pagerduty.PagerDutyRegion.US, f"{root}/v2/enqueue")
        service.opsgenie = Endpoint.parse(f"{root}/v2/alerts")
        monkeypatch.setattr(slack.NotifySlack, "webhook_url", f"{root}/services")
        yield service


@pytest.fixture
def secret(tmp_path: Path) -> str:
    (tmp_path / "secret").write_text(KEY + "\n")
    return str(tmp_path / "secret")


async def test_pagerdutys_incident_ends_with_the_alert(service: Service, secret: str, make_alert) -> None:
    notifier = service_of(ReceiverSettings(name="on-call", pagerduty=secret), None)
    await notifier.send([make_alert(), make_alert(state=AlertState.RESOLVED)])
    (_, began, _), (_, ended, _) = service.asked
    assert (began["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert began["routing_key"] == KEY
    assert began["dedup_key"] == ended["dedup_key"] == fingerprint(labels_of(make_alert()))
    assert began["payload"]["severity"] == "critical"
    assert "fraud: data drift in mean area" in began["payload"]["summary"]


async def test_opsgenies_alert_is_closed_by_its_alias(service: Service, secret: str, make_alert) -> None:
    await OpsgenieNotifier(secret, service.opsgenie).send([make_alert(), make_alert(state=AlertState.RESOLVED)])
    (opened, began, fields), (closed, _, _) = service.asked
    alias = fingerprint(labels_of(make_alert()))
    assert (opened, began["alias"], began["priority"]) == ("/v2/alerts", alias, "P1")
    assert fields["Authorization"] == f"GenieKey {KEY}"
    assert closed == f"/v2/alerts/{alias}/close"


async def test_slack_gets_the_text_with_its_links(service: Service, tmp_path: Path, make_alert) -> None:
    (tmp_path / "slack").write_text("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7Q3")
    await service_of(ReceiverSettings(name="chat", slack=str(tmp_path / "slack")), None).send([make_alert()])
    ((path, message, _),) = service.asked
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7Q3"
    text = json.dumps(message)
    assert "[page] fraud: data drift in mean area" in text
    assert "docs/runbooks/README.md#modeldatadrift" in text


async def test_what_a_service_answers_is_told_and_its_secret_is_not(service: Service, secret: str, make_alert) -> None:
    service.status = 403
    with pytest.raises(NotDeliveredError) as caught:
        await service_of(ReceiverSettings(name="on-call", pagerduty=secret), None).send([make_alert()])
    assert "403" in str(caught.value)
    assert KEY not in str(caught.value)


async def test_a_service_that_cannot_be_reached_is_told_without_the_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_alert) -> None:
    nowhere = "http://127.0.0.1:1"
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, pagerduty.PagerDutyRegion.US, f"{nowhere}/v2/enqueue")
    monkeypatch.setattr(slack.NotifySlack, "webhook_url", f"{nowhere}/services")
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "slack").write_text(f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{KEY[:24]}")
    mail = MailSettings(server=Address("127.0.0.1", 1), sender="a@example.com", user="me", password=str(tmp_path / "key"))
    for receiver in (
        ReceiverSettings(name="pager", pagerduty=str(tmp_path / "key")),
        ReceiverSettings(name="chat", slack=str(tmp_path / "slack")),
        ReceiverSettings(name="mail", email="b@example.com"),
    ):
        with pytest.raises(NotDeliveredError) as caught:
            await service_of(receiver, mail).send([make_alert()])
        assert "onnection error" in str(caught.value)
        assert KEY[:24] not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "   "])
async def test_a_secret_that_is_not_there_is_told(tmp_path: Path, content: str | None, make_alert) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(NotDeliveredError, match="the secret of on-call cannot be read"):
        await service_of(ReceiverSettings(name="on-call", pagerduty=str(file)), None).send([make_alert()])


async def test_something_else_in_place_of_a_secret_is_told(tmp_path: Path, make_alert) -> None:
    (tmp_path / "slack").write_text("http://example.com/")
    with pytest.raises(NotDeliveredError):
        await service_of(ReceiverSettings(name="chat", slack=str(tmp_path / "slack")), None).send([make_alert()])


class Mailbox:
    """A mail server that takes what it is given (RFC 5321)."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            command = line.strip().upper()
            if command == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            if command == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            writer.write(b"250 ok\r\n")
        writer.close()


async def test_a_mail_arrives(make_alert) -> None:
    mailbox = Mailbox()
    server = await asyncio.start_server(mailbox.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mail = MailSettings(server=Address("127.0.0.1", port), sender="driftline@example.com")
    async with server:
        await service_of(ReceiverSettings(name="mail", email="oncall@example.com"), mail).send([make_alert()])
    (written,) = mailbox.mails
    message = message_from_bytes(written, policy=default)
    assert message["To"] == "oncall@example.com"
    assert "driftline@example.com" in message["From"]
    assert message["Subject"] == "[page] fraud: data drift in mean area"
    assert "line one\nline two" in message.get_content().replace("\r\n", "\n")


async def test_a_mail_server_that_is_not_there_is_told(make_alert) -> None:
    mail = MailSettings(server=Address("127.0.0.1", 9), sender="driftline@example.com")
    with pytest.raises(NotDeliveredError):
        await service_of(ReceiverSettings(name="mail", email="oncall@example.com"), mail).send([make_alert()])
