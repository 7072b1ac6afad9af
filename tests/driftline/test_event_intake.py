"""Events to records in a spool, and through a monitor into its store."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from config.load import load
from config.settings import Settings
from driftline.event_intake import EventIntake
from events.joining import JoinLimits
from records.exchange import ErrorKind, Exchange
from records.metrics import EventOutcome, Metric
from records.ports import EventsNotTakenError, UnreadableEventsError
from store.spool.counts import take_stock
from store.spool.reader import SpoolReader
from store.spool.state import LoaderState

REQUEST = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,1.5]}]}'
REPLY = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[0.25]}]}'


def fields(kind, request_id="r-1"):
    return {"ce-id": request_id, "ce-type": f"org.kubeflow.serving.inference.{kind}", "ce-inferenceservicename": "m", "ce-time": datetime.now(UTC).isoformat()}


@pytest.fixture
def make_intake(tmp_path):
    def make(**settings):
        return EventIntake(Settings(data_dir=str(tmp_path), **settings), JoinLimits())

    return make


def records(directory: Path) -> list[Exchange]:
    reader = SpoolReader(directory / "spool", {})
    frames = reader.read(100, 1 << 20).frames
    reader.close()
    return [msgspec.msgpack.decode(frame.payload, type=Exchange) for frame in frames]


def outcomes(directory):
    stock = take_stock(directory / "spool", LoaderState())
    assert stock.counts.conserved
    return {EventOutcome(name[1]): count for name, count in stock.counters.items() if name[0] == Metric.LOGGER_EVENTS.metric_name and count}


async def test_a_pair_of_events_is_one_record_and_repeated_ones_are_counted(make_intake, tmp_path):
    intake = make_intake()
    for content, kind in ((REQUEST, "request"), (REPLY, "response"), (REPLY, "response")):
        assert (await intake(content, fields(kind))).accepted == 1
    intake.close()
    (exchange,) = records(tmp_path)
    assert (exchange.model, exchange.path, exchange.request.content, exchange.response.content) == ("m", "/v2/models/m/infer", REQUEST, REPLY)
    assert outcomes(tmp_path) == {EventOutcome.JOINED: 2, EventOutcome.DUPLICATE: 1}


async def test_what_waits_at_the_end_is_recorded_alone(make_intake, tmp_path):
    intake = make_intake()
    await intake(REQUEST, fields("request"))
    assert records(tmp_path) == []
    intake.close()
    assert [exchange.error for exchange in records(tmp_path)] == [ErrorKind.REPLY_NOT_LOGGED]
    assert outcomes(tmp_path) == {EventOutcome.ALONE: 1}
    with pytest.raises(EventsNotTakenError, match="stopping"):
        await intake(REQUEST, fields("request"))


async def test_events_of_a_batch_that_are_none_are_told_by_their_place(make_intake, tmp_path):
    intake = make_intake()
    batch = [{"id": "r-1", "type": "io.seldon.serving.inference.request", "data": {}}, {"id": "r-2", "type": "other"}, 7]
    receipt = await intake(json.dumps(batch).encode(), {"content-type": "application/cloudevents-batch+json"})
    assert (receipt.accepted, receipt.refused, [error.line for error in receipt.errors]) == (1, 2, [2, 3])
    intake.close()
    assert outcomes(tmp_path) == {EventOutcome.ALONE: 1, EventOutcome.REFUSED: 2}


async def test_a_body_without_events_makes_no_writer(make_intake, tmp_path):
    with pytest.raises(UnreadableEventsError):
        await make_intake()(b"{}", {})
    assert not (tmp_path / "spool").exists()


async def test_a_route_s_rules_hold_for_what_is_recorded(tmp_path):
    file = tmp_path / "driftline.yaml"
    file.write_text(f"data_dir: {tmp_path}\nroutes: [{{upstream: http://127.0.0.1:9, name: quiet, capture: heads}}]\n")
    intake = EventIntake(load(file))
    await intake(REQUEST, fields("request"))
    await intake(REPLY, fields("response"))
    intake.close()
    assert [(exchange.route, exchange.request.content, exchange.response.content) for exchange in records(tmp_path)] == [("quiet", b"", b"")]


async def test_a_monitor_stores_and_watches_what_a_logger_sends(up, upstream, driftline):
    service = await up("--upstream", upstream.url)
    async with ClientSession() as session:
        for number in range(20):
            for content, kind in ((REQUEST, "Request"), (REPLY, "Response")):
                headers = {name.title(): value for name, value in fields(kind.lower(), f"r-{number}").items()}
                async with session.post(f"{service.admin}/api/v1/cloudevents", data=content, headers=headers) as reply:
                    assert reply.status == 200, await reply.text()
        async with session.post(f"{service.admin}/api/v1/labels", json={"request_id": "r-3", "label": 0.25}) as reply:
            assert reply.status == 200
    counts = await service.settled_counts()
    assert (counts["captured"], counts["stored"], counts["conserved"]) == (20, 20, True)
    assert await service.rows("count(), uniqExact(request_id), any(model), any(status)") == [("20", "20", "m", "200")]
    while 'driftline_labels_joined_total{model="m"' not in await service.metrics():
        await asyncio.sleep(0.1)
    assert 'driftline_logger_events_total{outcome="joined"} 40.0' in await service.metrics()
