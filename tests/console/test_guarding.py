"""Who may ask for what on the admin address, and what browsers may do with it."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from console.api import ENDPOINTS, build_app
from console.guarding import guarded, role_of
from records.access import AccessRole

OPEN = {"/healthz", "/readyz"}
WHOEVER_HOLDS = {
    AccessRole.CLIENT: set(),
    AccessRole.REPORTER: {"/api/v1/labels", "/api/v1/cloudevents"},
    AccessRole.VIEWER: {
        "/",
        "/metrics",
        "/api/v1/status",
        "/api/v1/models",
        "/api/v1/models/{model}",
        "/api/v1/models/{model}/windows",
        "/api/v1/models/{model}/changes",
        "/api/v1/models/{model}/windows/{window}/explanation",
        "/api/v1/models/{model}/windows/{window}/report",
        "/api/v1/models/{model}/windows/{window}/picture",
        "/api/v1/alerts",
    },
}
WHOEVER_HOLDS[AccessRole.OPERATOR] = (
    WHOEVER_HOLDS[AccessRole.REPORTER] | WHOEVER_HOLDS[AccessRole.VIEWER] | {"/api/v1/models/{model}/baseline", "/api/v1/exchanges/{identifier}"}
)
WHOEVER_HOLDS[AccessRole.ADMIN] = {endpoint.path for endpoint in ENDPOINTS} - OPEN


def path_of(endpoint) -> str:
    return endpoint.path.format(model="fraud", identifier="request-1", window="latest")


@pytest.fixture
async def strict(views, take_labels, take_events, accept, guard):
    """A client of an admin address at which nobody may do anything who shows nothing."""
    app = build_app(views, take_labels, take_events, accept, guard._replace(anonymous=frozenset()))
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_every_route_is_in_the_table_of_roles(client):
    for route in client.app.router.routes():
        role_of(client.app, route.method, route.resource.canonical)


async def test_a_route_that_is_not_in_the_table_is_answered_to_nobody(guard):
    async def secret(_: web.Request) -> web.Response:
        return web.Response(text="secret")

    app = web.Application(middlewares=[guarded(guard, {})])
    app.router.add_get("/secret", secret)
    async with TestClient(TestServer(app)) as client:
        reply = await client.get("/secret")
        assert reply.status == 500
        assert "secret" not in await reply.text()


@pytest.mark.parametrize("role", AccessRole)
async def test_each_role_may_do_what_it_is_for_and_nothing_else(strict, role):
    allowed = set()
    for endpoint in ENDPOINTS:
        reply = await strict.request(endpoint.method, path_of(endpoint), headers={"Authorization": f"Bearer {role}"})
        assert reply.status in {200, 403}
        if reply.status == 200:
            allowed.add(endpoint.path)
    assert allowed == WHOEVER_HOLDS[role] | OPEN


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer wrong"}])
async def test_whoever_shows_nothing_good_may_ask_for_health_only(strict, shown):
    for endpoint in ENDPOINTS:
        reply = await strict.request(endpoint.method, path_of(endpoint), headers=shown)
        assert reply.status == (200 if endpoint.path in OPEN else 401)
        if endpoint.path not in OPEN:
            assert reply.headers["WWW-Authenticate"].startswith('Basic realm="driftline"')
            assert set(await reply.json()) == {"error"}


async def test_a_wrong_key_is_refused_also_where_one_need_show_none(client):
    assert (await client.get("/metrics", headers={"Authorization": "Bearer wrong"})).status == 401


async def test_what_is_for_somebody_before_us_is_nothing_to_us(client, strict):
    before = {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}  # a reverse proxy has asked for it, and lets it pass
    assert (await client.get("/metrics", headers=before)).status == 200
    assert (await client.get("/metrics", headers={**before, "Host": "evil.example"})).status == 421
    assert (await strict.get("/metrics", headers=before)).status == 401


async def test_head_needs_what_get_needs(strict):
    assert (await strict.head("/metrics")).status == 401
    assert (await strict.head("/metrics", headers={"Authorization": "Bearer viewer"})).status == 200


async def test_a_name_may_do_what_the_nameless_may(views, take_labels, take_events, accept, guard):
    app = build_app(views, take_labels, take_events, accept, guard._replace(anonymous=frozenset({AccessRole.VIEWER})))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/metrics")).status == 200
        assert (await client.get("/metrics", headers={"Authorization": "Bearer reporter"})).status == 200
        assert (await client.post("/api/v1/models/fraud/baseline")).status == 401


async def test_what_was_done_and_what_was_refused_is_on_record_with_the_name(strict, audit):
    await strict.get("/api/v1/exchanges/request-1", headers={"Authorization": "Bearer operator"})
    await strict.get("/api/v1/exchanges/request-1", headers={"Authorization": "Bearer viewer"})
    await strict.get("/api/v1/exchanges/request-1")
    assert audit.entries == [
        ("some operator", "read exchange", "/api/v1/exchanges/request-1"),
        ("some viewer", "refused", "GET /api/v1/exchanges/request-1"),
    ]


async def test_what_was_refused_is_counted_by_its_status(strict):
    await strict.get("/api/v1/status")
    await strict.get("/api/v1/status", headers={"Authorization": "Bearer client"})
    await strict.get("/api/v1/status", headers={"Authorization": "Bearer client"})
    page = await (await strict.get("/metrics", headers={"Authorization": "Bearer viewer"})).text()
    assert 'driftline_admin_refused_total{code="401"} 1.0' in page
    assert 'driftline_admin_refused_total{code="403"} 2.0' in page
    assert 'driftline_admin_refused_total{code="421"} 0.0' in page


async def test_a_refusal_that_cannot_be_put_on_record_is_one_all_the_same(strict, audit):
    audit.full = True
    assert (await strict.get("/api/v1/exchanges/request-1", headers={"Authorization": "Bearer viewer"})).status == 403


@pytest.mark.parametrize(
    ("headers", "done"),
    [
        ({}, True),  # no browser
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
        ({"Origin": "http://{host}"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"}, False),
    ],
)
async def test_a_browser_changes_something_from_our_own_pages_only(client, accept, headers, done):
    host = f"{client.host}:{client.port}"
    reply = await client.post("/api/v1/models/fraud/baseline", headers={name: value.format(host=host) for name, value in headers.items()})
    assert reply.status == (200 if done else 403)


async def test_reading_from_another_page_s_link_is_allowed(client):
    assert (await client.get("/api/v1/alerts", headers={"Sec-Fetch-Site": "cross-site"})).status == 200


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost:8081", True),
        ("a.localhost", True),
        ("127.0.0.1:1", True),
        ("[::1]:8081", True),
        ("192.0.2.7", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[", False),
    ],
)
async def test_without_authentication_another_s_name_is_not_answered(client, host, answered):
    reply = await client.get("/api/v1/status", headers={"Host": host})
    assert reply.status == (200 if answered else 421)


async def test_where_nobody_may_do_anything_without_a_key_any_name_is_asked_for_one(strict):
    assert (await strict.get("/api/v1/status", headers={"Host": "driftline.example"})).status == 401


async def test_with_a_key_any_name_is_answered(client):
    assert (await client.get("/api/v1/status", headers={"Host": "driftline.example", "Authorization": "Bearer viewer"})).status == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/nothing", "/api/v1/models/fraud/windows/latest/report", "/api/v1/models/fraud/windows/latest/picture"])
async def test_every_reply_is_for_showing_only_and_in_no_frame(client, path):
    reply = await client.get(path)
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
    assert "script-src" not in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in reply.headers
