"""Labels over real HTTP."""

import gzip
import io

import pytest

from console.bodies import BODY_AT_MOST_BYTES
from records.ports import EventsNotTakenError, LabelsNotKeptError, UnreadableEventsError, UnreadableLabelsError
from records.receipt import Receipt, Refusal

PATH = "/api/v1/labels"


async def test_the_body_and_its_type_are_handed_on_and_the_receipt_comes_back(client, take_labels):
    take_labels.answer = Receipt(accepted=2, refused=0)
    reply = await client.post(PATH, data=b"label,key\n", headers={"Content-Type": "text/csv"})
    assert (reply.status, await reply.json()) == (200, {"accepted": 2, "refused": 0, "errors": []})
    assert take_labels.bodies == [(b"label,key\n", "text/csv")]


@pytest.mark.parametrize(("accepted", "status"), [(1, 207), (0, 400)])
async def test_lines_that_were_refused_show_in_the_status(client, take_labels, accepted, status):
    take_labels.answer = Receipt(accepted=accepted, refused=1, errors=(Refusal(3, "expected a label"),))
    reply = await client.post(PATH, data=b"")
    assert (reply.status, (await reply.json())["errors"]) == (status, [{"line": 3, "error": "expected a label"}])


@pytest.mark.parametrize(("error", "status"), [(UnreadableLabelsError("expected JSON"), 400), (LabelsNotKeptError("no room"), 503)])
async def test_a_body_of_which_nothing_was_taken_is_told_why(client, take_labels, error, status):
    take_labels.answer = error
    reply = await client.post(PATH, data=b"")
    assert (reply.status, await reply.json()) == (status, {"error": f"No label was taken: {error}."})


async def test_a_compressed_body_is_handed_on_plain(client, take_labels):
    await client.post(PATH, data=gzip.compress(b"[]"), headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
    assert take_labels.bodies == [(b"[]", "application/json")]


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_that_is_too_large_is_413_also_when_it_is_compressed(client, take_labels, compressed):
    content = bytes(BODY_AT_MOST_BYTES + 1)
    reply = await client.post(
        PATH, data=io.BytesIO(gzip.compress(content) if compressed else content), headers={"Content-Encoding": "gzip"} if compressed else {}
    )
    assert reply.status == 413
    assert take_labels.bodies == []


async def test_events_come_with_their_header_fields(client, take_events):
    reply = await client.post("/api/v1/cloudevents", data=b"x", headers={"Ce-Id": "e-1"})
    assert reply.status == 200
    ((content, fields),) = take_events.bodies
    assert (content, fields["ce-id"]) == (b"x", "e-1")


@pytest.mark.parametrize(("error", "status"), [(UnreadableEventsError("expected a CloudEvent"), 400), (EventsNotTakenError("stopping"), 503)])
async def test_events_of_which_none_was_taken_are_told_why(client, take_events, error, status):
    take_events.answer = error
    reply = await client.post("/api/v1/cloudevents", data=b"")
    assert (reply.status, await reply.json()) == (status, {"error": f"No event was taken: {error}."})
