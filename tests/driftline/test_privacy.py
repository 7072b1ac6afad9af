"""What is redacted, sampled, forgotten and put on record, with the commands as users give them."""

import asyncio
import json
import os
import pwd
import signal
import subprocess
from pathlib import Path

import pytest
from aiohttp import ClientSession

from .conftest import DRIFTLINE

SECRET = "ada@example.org"


@pytest.fixture
def config(tmp_path: Path, upstream) -> Path:
    (tmp_path / "hash.key").write_text("0123456789abcdef0123456789abcdef\n")
    file = tmp_path / "driftline.yaml"
    file.write_text(f"""
privacy: {{hash_keys: "2026-11=file:{tmp_path}/hash.key"}}
routes:
  - {{name: off, path: /off, upstream: {upstream.url}, capture: off}}
  - {{name: sampled, path: /sampled, upstream: {upstream.url}, sample: 50%}}
  - name: private
    upstream: {upstream.url}
    subject: $.parameters.customer
    redact:
      - {{at: $.parameters.customer, do: mask}}
      - at: ?token
    shadows: [{{url: {upstream.url}, name: shadow}}]
""")
    return file


async def driftline(*arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(subprocess.run, [str(DRIFTLINE), *arguments], capture_output=True, text=True, timeout=60)


async def send(service, path: str, request_id: str, customer: str = SECRET) -> None:
    body = json.dumps({"parameters": {"customer": customer}, "inputs": []})
    async with ClientSession() as session, session.post(service.url + path, data=body, headers={"X-Request-Id": request_id}) as reply:
        assert reply.status == 200
        await reply.read()


def change(config: Path, before: str, after: str) -> None:
    config.write_text(config.read_text().replace(before, after))


async def reload(service) -> None:
    service.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(40):
        while "driftline: reloaded, " not in service.log.read_text():
            await asyncio.sleep(0.05)


def counted(metrics: str, name: str) -> int:
    return sum(int(float(line.rpartition(" ")[2])) for line in metrics.splitlines() if line.startswith((name + "{", name + " ")))


async def test_traffic_is_kept_as_the_settings_say_and_forgotten_when_asked(up, config: Path) -> None:
    service = await up("--config", str(config))
    await asyncio.gather(*[send(service, "/sampled", f"s{number}") for number in range(40)], *[send(service, "/off", f"o{number}") for number in range(3)])
    await send(service, f"/v2/models/m/infer?token={SECRET}", "r1")
    await send(service, f"/v2/models/m/infer?token={SECRET}", "r2", customer="other")
    counts = await service.settled_counts()
    metrics = await service.metrics()
    left_out = counted(metrics, "driftline_exchanges_not_captured_total")
    assert counts["captured"] == counts["stored"] == counted(metrics, "driftline_http_requests_total") - left_out
    assert 3 < left_out < 43

    rows = await service.rows("request_id, role, path, request_body, request_redaction, length(subjects)", "route = 'private' ORDER BY request_id, role")
    body = '{"parameters":{"customer":"***"},"inputs":[]}'
    path = "/v2/models/m/infer"
    assert rows == [(name, *row) for name in ("r1", "r2") for row in [("served", path, body, "redacted", "1"), ("shadow", path, "", "", "0")]]

    data_dir = ("--data-dir", str(service.data_dir))
    forgotten = await driftline("forget", "--config", str(config), *data_dir, "--subject", SECRET)
    assert (forgotten.returncode, forgotten.stderr) == (0, "")
    assert forgotten.stdout.startswith("Rows deleted: 2 in exchanges")
    assert await service.rows("DISTINCT request_id", "route = 'private'") == [("r2",)]
    assert await service.counts() == counts

    assert (await driftline("forget", *data_dir, "--exchange-id", "7")).returncode == 2
    change(config, "50%", "25%")
    await reload(service)
    assert await service.stop() == 0
    again = await driftline("forget", *data_dir, "--request-id", "r2")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("Rows deleted: 2 in exchanges")
    assert await service.rows("count()", "route = 'private'") == [("0",)]

    me = pwd.getpwuid(os.getuid()).pw_name
    trail = [json.loads(line) for line in (service.data_dir / "audit.jsonl").read_text().splitlines()]
    assert {entry["who"] for entry in trail} == {me}
    assert [entry["action"] for entry in trail if entry["action"] != "open store"] == ["sql", "forget", "sql", "reload settings", "forget", "sql"]
    assert [entry["what"] for entry in trail if entry["action"] == "reload settings"] == ["changed: routes"]
    assert SECRET not in (service.data_dir / "audit.jsonl").read_text()
    audited = await driftline("sql", *data_dir, "--format", "TabSeparated", "SELECT who, action FROM audit FINAL WHERE action = 'forget'")
    assert audited.stdout.splitlines() == [f"{me}\tforget"], "what was done since the monitor ended comes into the table when the next one starts"


async def test_a_key_that_is_missing_is_said_at_the_start(tmp_path: Path, config: Path) -> None:
    (tmp_path / "hash.key").unlink()
    finished = await driftline("up", "--config", str(config), "--data-dir", str(tmp_path / "data"))
    assert finished.returncode == 2
    assert "the key 2026-11 cannot be read from the file" in finished.stderr
