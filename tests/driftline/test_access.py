"""Who may do what, by the command as a user starts it: one service with keys, planted secrets everywhere, and nothing of them where anybody looks."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from pathlib import Path

import aiohttp

from access.keys import make_key
from records.access import AccessRole
from tests.driftline.conftest import DRIFTLINE
from tests.proxy.certificates import Authority

PLANTED = "planted-secret"

SETTINGS = """
admin: {admin}
data_dir: {directory}/data
access: {{keys: {directory}/keys}}
proxy:
  authenticate: true
  listen: {listen}
  rate_limit: {{requests: 1, burst: 3}}
routes: [{{upstream: "{upstream}"}}]
privacy: {{hash_keys: [one=file:{directory}/hash.key]}}
alerts:
  webhook: http://me:{planted}-webhook@127.0.0.1:1/hook
  receivers:
    - {{name: chat, slack: {directory}/slack.url}}
    - {{name: pager, pagerduty: {directory}/pagerduty.key}}
    - {{name: genie, opsgenie: {directory}/opsgenie.key}}
  mail: {{server: 127.0.0.1:1, sender: a@example.com, user: me, password: {directory}/mail.password}}
traces: {{endpoint: "http://me:{planted}-traces@127.0.0.1:1/v1/traces", sample: 100%}}
"""

PATHS = ("/", "/healthz", "/readyz", "/metrics", "/config", "/api/v1/status", "/api/v1/models", "/api/v1/alerts", "/api/v1/nothing")


def plant(directory: Path) -> dict[AccessRole, str]:
    """Write a secret into each file that settings name; return keys by their role."""
    for name in ("hash.key", "pagerduty.key", "opsgenie.key", "mail.password"):
        (directory / name).write_text(f"{PLANTED}-{name}")
    (directory / "slack.url").write_text(f"https://hooks.slack.com/services/T00000000/B00000000/{PLANTED.replace('-', '')}")
    made = {role: make_key(str(role), role) for role in AccessRole}
    (directory / "keys").write_text("\n".join(stored.line for _, stored in made.values()))
    return {role: key for role, (key, _) in made.items()}


async def test_keys_roles_and_rates_hold_and_no_secret_is_seen_anywhere(up, upstream, driftline, free_address, tmp_path):
    keys = plant(tmp_path)
    config = tmp_path / "driftline.yaml"
    listen, admin = free_address(), free_address()
    config.write_text(SETTINGS.format(admin=admin, listen=listen, directory=tmp_path, upstream=upstream.url, planted=PLANTED))
    checked = driftline("config", "check", str(config))
    assert checked.returncode == 0, checked.stderr
    service = await up("--config", str(config))
    seen = [checked.stdout]
    async with aiohttp.ClientSession() as session:

        async def infer(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}", "Cookie": f"session={PLANTED}-cookie", "X-Request-Id": "request-1"}
            async with session.post(f"{service.url}/v2/models/m/infer", data=b"{}", headers=headers) as reply:
                return reply.status

        async def ask(path: str, role: AccessRole) -> int:
            async with session.get(f"{service.admin}{path}", headers={"Authorization": f"Bearer {keys[role]}"}) as reply:
                seen.append(f"{reply.headers} {await reply.text()}")
                return reply.status

        assert [await infer(keys[AccessRole.CLIENT]) for _ in range(4)] == [200, 200, 200, 429]
        assert await infer(keys[AccessRole.VIEWER]) == 403
        assert await infer(f"dl_client_{PLANTED}{'x' * 29}") == 401

        async with session.get(f"{service.admin}/metrics") as reply:
            assert reply.status == 401
        assert [await ask(path, AccessRole.VIEWER) for path in PATHS] == [200, 200, 200, 200, 404, 200, 200, 200, 404]
        async with asyncio.timeout(20):
            while await ask("/api/v1/exchanges/request-1", AccessRole.OPERATOR) != 200:
                await asyncio.sleep(0.2)
        assert await ask("/api/v1/exchanges/request-1", AccessRole.VIEWER) == 403

        (tmp_path / "keys").write_text("")
        async with asyncio.timeout(20):
            while await ask("/metrics", AccessRole.VIEWER) != 401 or await infer(keys[AccessRole.CLIENT]) != 401:
                await asyncio.sleep(0.1)

    rows = await service.rows("*", "1")
    audit = (tmp_path / "data/audit.jsonl").read_text()
    assert ("operator", "read exchange") in {(entry["who"], entry["action"]) for entry in map(json.loads, audit.splitlines())}
    assert ("viewer", "refused") in {(entry["who"], entry["action"]) for entry in map(json.loads, audit.splitlines())}
    await service.stop()
    running = [str(rows), audit, service.log.read_text(), *seen]
    for secret in (PLANTED, PLANTED.replace("-", ""), *keys.values()):
        assert not [text for text in running if secret in text]
    assert any("client" in row for row in rows)


async def test_an_address_that_others_reach_is_refused_without_keys_and_says_what_to_set(driftline, tmp_path):
    found = driftline("up", "--upstream", "http://127.0.0.1:1", "--admin", "0.0.0.0:0", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data"))
    assert found.returncode == 2
    assert (
        "admin: expected an address on loopback, for nobody has to show who they are, found '0.0.0.0:0'; make keys with `driftline keys make`" in found.stderr
    )


async def test_the_admin_address_speaks_tls_and_knows_clients_by_their_certificates(tmp_path):
    authority, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    pair, viewer = authority.issue("server", "/CN=server", "IP:127.0.0.1"), clients.issue("prometheus", "/CN=prometheus")
    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"admin: 127.0.0.1:0\ndata_dir: {tmp_path}/data\n"
        f"admin_tls: {{certificate: {pair.certificate}, key: {pair.key}, client_ca: {clients.certificate}}}\n"
        "access: {certificates: [{name: prometheus, role: viewer}]}\n"
    )
    process = await asyncio.create_subprocess_exec(str(DRIFTLINE), "monitor", "--config", str(config), stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(r"admin on (https://127\.0\.0\.1:\d+)", (await process.stderr.readline()).decode())):
                assert process.returncode is None
        context = ssl.create_default_context(cafile=authority.certificate)
        async with aiohttp.ClientSession(found[1], connector=aiohttp.TCPConnector(ssl=context)) as session:
            assert (await session.get("/healthz")).status == 200
            assert (await session.get("/metrics")).status == 401
        context.load_cert_chain(viewer.certificate, viewer.key)
        async with aiohttp.ClientSession(found[1], connector=aiohttp.TCPConnector(ssl=context)) as session:
            assert (await session.get("/metrics")).status == 200
            assert (await session.get("/api/v1/exchanges/request-1")).status == 403
    finally:
        process.terminate()
        await process.communicate()
