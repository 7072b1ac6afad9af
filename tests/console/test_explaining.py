"""Explanations over real HTTP."""

import xml.etree.ElementTree as ET

import msgspec
import pytest

from console.explaining import path_of
from records.ports import StoreUnavailableError

PATH = "/api/v1/models/fraud/windows/7"


async def test_an_explanation_has_its_numbers_its_times_and_links_to_its_pictures(client, explanation):
    document = await (await client.get(f"{PATH}/explanation")).json()
    assert document["since_at"] == "2025-11-20T12:00:00.000Z"
    assert document["compared_with"] == explanation.compared_with
    assert document["quality"][0]["text"] == "mean area: 12 rows are <odd>."
    first, second = document["features"]
    assert first["cells"][0] == {"place": {"type": "numbers", "low": None, "high": 0.0, "value": None}, "before": 0.25, "now": 0.1}
    assert first["gain"]["exchange_ids"] == ["019a9f00-0000-7000-8000-000000000001"]
    assert second["since_at"] is None
    for link in (document["report"], *document["pictures"].values()):
        assert (await client.get(link)).status == 200


async def test_a_picture_is_svg_of_the_heaviest_feature_or_of_the_one_that_is_named(client):
    reply = await client.get(f"{PATH}/picture")
    assert reply.content_type == "image/svg+xml"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert ET.fromstring(await reply.text())[0].text.startswith("mean area of fraud")
    named = await client.get(f"{PATH}/picture", params={"feature": "country & <co>"})
    assert ET.fromstring(await named.text())[0].text.startswith("country & <co> of fraud")


async def test_the_report_is_a_page_with_pictures_the_tables_behind_them_and_links_to_examples(client):
    reply = await client.get(f"{PATH}/report")
    page = await reply.text()
    assert reply.content_type == "text/html"
    assert page.count("<svg") == page.count("<th>share of rows</th>") == page.count("<th>statistic</th>") == 2
    assert "<tr><td>psi</td><td>0.3</td><td>–</td></tr>" in page
    assert '<a href="/api/v1/exchanges/019a9f00-0000-7000-8000-000000000001">' in page
    assert "country &amp; &lt;co&gt;" in page
    assert "Of 40 labelled predictions" in page
    assert "<p>mean area: 12 rows are &lt;odd&gt;.</p>" in page
    assert "Since 2025-11-20T12:00:00.000Z: 3 windows, 3,000 rows." in page


async def test_the_latest_window_and_a_baseline_can_be_asked_for(client, views):
    for window, index in (("latest", None), ("12", 12)):
        assert (await client.get(f"/api/v1/models/fraud/windows/{window}/explanation?baseline=00ff")).status == 200
        assert views.asked == ("fraud", index, "00ff")


@pytest.mark.parametrize("window", ["-1", "x", "1.5", "²", "9" * 30])
async def test_what_is_no_window_is_refused_with_what_would_be_one(client, window):
    reply = await client.get(f"/api/v1/models/fraud/windows/{window}/explanation")
    assert reply.status == 400
    assert "'latest'" in (await reply.json())["error"]


async def test_what_cannot_be_explained_or_drawn_is_not_found_in_one_sentence(client, views, explanation):
    reply = await client.get(f"{PATH}/picture?feature=size")
    assert reply.status == 404
    assert (await reply.json())["error"] == "feature: 'size' carries no evidence in this window; those that do: mean area, country & <co>."
    views.explained = msgspec.structs.replace(explanation, features=())
    assert (await client.get(f"{PATH}/picture")).status == 404
    assert "No feature carries evidence" in await (await client.get(f"{PATH}/report")).text()
    views.explained = None
    for kind in ("explanation", "picture", "report"):
        reply = await client.get(f"{PATH}/{kind}?baseline=x")
        assert reply.status == 404
        assert "no window 7 against the baseline 'x'" in (await reply.json())["error"]


async def test_a_store_that_cannot_be_asked_is_said(client, views):
    views.failure = StoreUnavailableError("connection refused")
    assert (await client.get(f"{PATH}/explanation")).status == 503


def test_paths_work_whatever_the_names(explanation):
    odd = msgspec.structs.replace(explanation, model="team/fraud?")
    assert path_of(odd, "picture", feature="a&b") == "/api/v1/models/team%2Ffraud%3F/windows/7/picture?baseline=00ff00ff00ff00ff&feature=a%26b"
