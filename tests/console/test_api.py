"""The JSON API over real HTTP."""

import asyncio
import threading
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from console.api import ENDPOINTS, WINDOWS_AT_MOST
from records.ids import format_uuid
from records.ports import StoreUnavailableError
from records.status import Counts
from records.verdict import VerdictKind
from tests.console.conftest import make_verdict

DOCS = Path(__file__).parents[2] / "docs/api.md"


async def test_the_index_lists_every_endpoint(client):
    reply = await client.get("/")
    assert set((await reply.json())["endpoints"]) == {endpoint.path for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
async def test_every_endpoint_answers_and_is_in_the_docs(client, endpoint):
    reply = await client.request(endpoint.method, endpoint.path.format(model="fraud", identifier="request-1", window="latest"))
    assert reply.status == 200
    assert f"`{endpoint.path}`" in DOCS.read_text()


async def test_the_process_is_healthy_also_when_it_is_not_ready(client, views):
    views.reasons = ["The store does not answer: connection refused."]
    assert (await client.get("/healthz")).status == 200
    reply = await client.get("/readyz")
    assert reply.status == 503
    assert await reply.json() == {"ready": False, "reasons": ["The store does not answer: connection refused."]}


async def test_ready_when_nothing_speaks_against_it(client):
    reply = await client.get("/readyz")
    assert (reply.status, await reply.json()) == (200, {"ready": True, "reasons": []})


async def test_status_shows_the_counts_as_a_sum(client):
    document = await (await client.get("/api/v1/status")).json()
    assert document["counts"]["identity"] == "captured 1,100 = stored 1,000 + dropped 60 + pending 40"
    assert document["counts"]["conserved"] is True
    assert document["counts"]["dropped_total"] == 60
    assert document["started_at"] == "2025-11-20T12:00:00.000Z"
    assert document["uptime_seconds"] == 90.5
    assert document["store"]["changed_at"] == "2025-11-20T12:00:00.000Z"
    assert document["agreement"][0]["agreement_ratio"] == 0.95


async def test_a_broken_promise_is_shown_as_broken(client, views):
    views.report = msgspec.structs.replace(views.report, counts=Counts(captured=10, stored=8, dropped={}, pending=1))
    counts = (await (await client.get("/api/v1/status")).json())["counts"]
    assert counts["identity"] == "captured 10 ≠ stored 8 + dropped 0 + pending 1"
    assert counts["conserved"] is False


async def test_models_are_listed_without_features_but_with_the_carriers(client):
    [model] = (await (await client.get("/api/v1/models")).json())["models"]
    assert model["state"] == "firing"
    assert model["evidence_ratio"] == pytest.approx(12_300 / 4_320)
    assert model["carriers"] == ["mean area", "worst area"]
    assert "last_verdict" not in model


async def test_a_model_is_shown_with_its_latest_window(client):
    model = await (await client.get("/api/v1/models/fraud")).json()
    assert model["last_verdict"]["opened_at"] == "2025-11-20T12:00:00.000Z"
    assert [feature["feature"] for feature in model["last_verdict"]["features"]] == ["mean area", "worst area", "symmetry"]
    assert model["last_verdict"]["features"][0]["tests"]["wasserstein"]["effect"] == 0.28


async def test_a_model_that_has_no_window_yet_is_shown(client, views):
    views.watched = [msgspec.structs.replace(views.watched[0], last_verdict=None, threshold=0.0, evidence=0.0)]
    model = await (await client.get("/api/v1/models/fraud")).json()
    assert model["last_verdict"] is None
    assert model["carriers"] == []
    assert model["evidence_ratio"] == 0


@pytest.mark.parametrize("name", ["team/fraud", "ä b", "a?b#c", "100%"])
async def test_a_model_is_found_whatever_its_name(client, views, name):
    views.watched = [msgspec.structs.replace(views.watched[0], model=name)]
    reply = await client.get("/api/v1/models/" + quote(name, safe=""))
    assert (await reply.json())["model"] == name


@pytest.mark.parametrize("path", ["/api/v1/models/frod", "/api/v1/models/frod/windows"])
async def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(client, path):
    reply = await client.get(path)
    assert reply.status == 404
    assert (await reply.json())["error"] == "No model 'frod' is watched; watched now: fraud."


async def test_windows_are_limited_and_newest_first(client):
    document = await (await client.get("/api/v1/models/fraud/windows?limit=1")).json()
    assert [window["index"] for window in document["windows"]] == [7]
    document = await (await client.get("/api/v1/models/fraud/windows")).json()
    assert [window["index"] for window in document["windows"]] == [7, 6]


async def test_windows_of_another_kind_are_asked_for_by_name(client, views):
    views.verdicts.append(msgspec.structs.replace(make_verdict(index=3), kind=VerdictKind.RISK))
    document = await (await client.get("/api/v1/models/fraud/windows?kind=risk")).json()
    assert [(window["kind"], window["index"]) for window in document["windows"]] == [("risk", 3)]
    refused = await client.get("/api/v1/models/fraud/windows?kind=riks")
    assert (refused.status, (await refused.json())["error"]) == (400, "kind: expected data_drift or risk or shadow, found 'riks'.")


async def test_windows_of_a_model_that_is_no_longer_watched_are_shown(client, views):
    views.watched = []
    assert len((await (await client.get("/api/v1/models/fraud/windows")).json())["windows"]) == 2


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "²", "1.5", str(WINDOWS_AT_MOST + 1), "9" * 5000])
async def test_a_bad_limit_is_refused_with_an_example(client, limit):
    reply = await client.get("/api/v1/models/fraud/windows", params={"limit": limit})
    assert reply.status == 400
    assert "expected a whole number from 1 to 500" in (await reply.json())["error"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
async def test_an_unknown_query_parameter_is_refused_everywhere(client, endpoint):
    reply = await client.request(endpoint.method, endpoint.path.format(model="fraud", identifier="request-1", window="latest") + "?limt=3")
    assert reply.status == 400
    assert "Unknown query parameter 'limt'" in (await reply.json())["error"]


async def test_alerts_are_listed_with_times_as_text(client):
    [alert] = (await (await client.get("/api/v1/alerts")).json())["alerts"]
    assert (alert["name"], alert["state"], alert["started_at"], alert["resolved_at"]) == ("ModelDataDrift", "firing", "2025-11-20T12:00:00.000Z", None)


async def test_an_exchange_is_shown_with_all_arms_and_their_bodies(client, views):
    served, shadow = (await (await client.get("/api/v1/exchanges/request-1")).json())["exchanges"]
    assert served["exchange_id"] == format_uuid(views.stored[0].exchange_id)
    assert (served["role"], shadow["role"]) == ("served", "shadow")
    assert served["response"]["content"] == '{"outputs": []}'
    assert shadow["response"]["content_base64"] == "/wA="
    assert "content" not in shadow["response"]
    assert (served["total_ns"], served["connect_ns"]) == (7, None)


async def test_an_exchange_that_is_not_stored_may_still_be_pending(client):
    reply = await client.get("/api/v1/exchanges/nobody")
    assert reply.status == 404
    assert "may still be pending" in (await reply.json())["error"]


async def test_a_store_that_is_down_is_503_with_its_reason(client, views):
    views.failure = StoreUnavailableError("connection refused")
    reply = await client.get("/api/v1/models/fraud/windows")
    assert reply.status == 503
    assert (await reply.json())["error"] == "The store cannot be asked now: connection refused"


async def test_a_failure_of_ours_is_500_in_json_and_logged(client, views, caplog):
    views.failure = RuntimeError("oops")
    reply = await client.get("/api/v1/models/fraud/windows")
    assert reply.status == 500
    assert "oops" not in (await reply.json())["error"]
    assert "oops" in caplog.text


async def test_an_unknown_path_and_a_wrong_method_are_errors_in_json(client):
    missing = await client.get("/nothing")
    assert (missing.status, await missing.json()) == (404, {"error": "There is nothing at /nothing; GET / lists what there is."})
    wrong = await client.post("/api/v1/status")
    assert (wrong.status, await wrong.json()) == (405, {"error": "POST is not possible on /api/v1/status; possible: GET, HEAD."})
    assert wrong.headers["Allow"] == "GET, HEAD"


async def test_a_store_that_hangs_leaves_everything_else_answering_and_is_not_asked_without_a_bound(client, views):
    release = threading.Event()
    views.windows = lambda model, kind, limit: release.wait(30) and []
    try:
        hanging = [asyncio.create_task(client.get("/api/v1/models/fraud/windows")) for _ in range(20)]
        refused = [task.result() for task in (await asyncio.wait(hanging, return_when=asyncio.FIRST_COMPLETED))[0]]
        assert {reply.status for reply in refused} == {503}
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/status"):
            assert (await client.get(path)).status == 200
    finally:
        release.set()
    statuses = [reply.status for reply in await asyncio.gather(*hanging)]
    assert (statuses.count(200), statuses.count(503)) == (16, 4)
    assert (await client.get("/api/v1/exchanges/request-1")).status == 200


async def test_who_reads_an_exchange_is_put_on_record_and_who_looks_at_counts_is_not(client, audit):
    for path in ("/api/v1/status", "/metrics", "/api/v1/exchanges/request-1"):
        await client.get(path)
    assert audit.entries == [("anonymous at 127.0.0.1", "read exchange", "/api/v1/exchanges/request-1")]


async def test_an_exchange_is_not_shown_where_that_cannot_be_put_on_record(client, audit):
    audit.full = True
    assert (await client.get("/api/v1/exchanges/request-1")).status == 503


async def test_traffic_is_accepted_as_the_new_baseline_of_a_model(client, accept):
    reply = await client.post("/api/v1/models/fraud/baseline", json={"since": "2026-03-01T00:00:00Z"})
    assert (await reply.json())["replaced"] == "00ff00ff00ff00ff"
    [(who, wanted)] = accept.wanted
    assert (who, wanted.model, wanted.since.isoformat()) == ("anonymous at 127.0.0.1", "fraud", "2026-03-01T00:00:00+00:00")


@pytest.mark.parametrize("body", [b"[]", b"no", b'{"since": "yesterday"}', b'{"from": "2026-03-01T00:00:00Z"}', b'{"since": 7}'])
async def test_what_does_not_say_which_traffic_is_refused_with_an_example(client, accept, body):
    reply = await client.post("/api/v1/models/fraud/baseline", data=body)
    assert reply.status == 400
    assert '{"since": "2026-03-01T00:00:00Z"}' in (await reply.json())["error"]
    assert not accept.wanted


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("too few rows"), 400), (StoreUnavailableError("the store is down"), 503), (OSError(28, "No space left on device"), 503)]
)
async def test_why_traffic_is_not_accepted_is_said(client, accept, error, status):
    accept.error = error
    reply = await client.post("/api/v1/models/fraud/baseline")
    assert reply.status == status
    assert (getattr(error, "strerror", None) or str(error)) in (await reply.json())["error"]
    assert (await client.post("/api/v1/models/none/baseline")).status == 404


async def test_what_changed_since_a_period_ago_is_shown_with_both_periods(client):
    document = await (await client.get("/api/v1/models/fraud/changes?period=1h")).json()
    assert [feature["feature"] for feature in document["features"]] == ["mean area"]
    assert (document["now"]["opened_at"], document["now"]["closed_at"], document["unchanged"]) == ("2025-11-20T12:00:00.000Z", "2025-11-20T13:00:00.000Z", 2)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [("period=soon", 400, "duration"), ("period=1s", 400, "24h"), ("period=1000 days", 400, "24h"), ("period=2m", 404, "no window")],
)
async def test_a_period_that_cannot_be_compared_is_refused_with_why(client, query, status, words):
    reply = await client.get(f"/api/v1/models/fraud/changes?{query}")
    assert reply.status == status
    assert words in (await reply.json())["error"]
