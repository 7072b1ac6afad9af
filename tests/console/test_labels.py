"""Labels over real HTTP."""

import gzip
import io

import pytest

from console.labels import BODY_AT_MOST_BYTES
from records.label import LabelReceipt, LabelRefusal
from records.ports import LabelsNotKeptError, UnreadableLabelsError

PATH = "/api/v1/labels"


async def test_the_body_and_its_type_are_handed_on_and_the_receipt_comes_back(client, take_labels):
    take_labels.answer = LabelReceipt(accepted=2, refused=0)
    reply = await client.post(PATH, data=b"label,key\n", headers={"Content-Type": "text/csv"})
    assert (reply.status, await reply.json()) == (200, {"accepted": 2, "refused": 0, "errors": []})
    assert take_labels.bodies == [(b"label,key\n", "text/csv")]


@pytest.mark.parametrize(("accepted", "status"), [(1, 207), (0, 400)])
async def test_lines_that_were_refused_show_in_the_status(client, take_labels, accepted, status):
    take_labels.answer = LabelReceipt(accepted=accepted, refused=1, errors=(LabelRefusal(3, "expected a label"),))
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
