"""slowhttptest holds connections with requests that never end and replies that are never taken; others are served all the while."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from .conftest import program, proxying, serving, uvicorn

IMPATIENT = "proxy: {head_timeout: 2s, body_timeout: 2s, send_timeout: 2s, client_idle: 2s}\n"
ATTACKS = {
    "heads that never end": ("-H", "-i", "1"),
    "bodies that never end": ("-B", "-i", "3", "-s", "8192"),
    "replies that are not taken": ("-X", "-w", "64", "-y", "128", "-n", "3", "-z", "16", "-k", "1"),
}
CONNECTIONS = 400


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    room = tmp_path_factory.mktemp("attacks")
    with serving(room / "uvicorn", uvicorn) as upstream, serving(room / "driftline", proxying(upstream, IMPATIENT)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served_while_connections_are_held_and_those_are_cut_off(address, name, tmp_path):
    command = [program("slowhttptest", "slowhttptest"), *ATTACKS[name], "-c", str(CONNECTIONS), "-r", "150", "-l", "20", "-p", "3", "-u", f"{address}/large"]
    port = int(address.rpartition(":")[2])
    most, held, longest, started = 0, CONNECTIONS, 0.0, time.monotonic()
    kept = httpx.Limits(keepalive_expiry=1)  # below client_idle, as a client must have it: one that writes as it is closed gets a reset
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as attack,
        httpx.Client(base_url=address, timeout=20, limits=kept) as client,
    ):
        try:
            while attack.poll() is None and (most < 100 or held > 20):
                began = time.monotonic()
                assert client.post("/echo", content=b"x" * 1000).content == b"x" * 1000
                assert httpx.get(f"{address}/echo", timeout=20).status_code == 200
                longest = max(longest, time.monotonic() - began)
                held = connections_held(port)
                most = max(most, held)
                time.sleep(0.05)
        finally:
            attack.kill()
    assert most >= 100
    assert held <= 20 or time.monotonic() - started < 15, "it gives up before its 20 s only where none of its connections is left"
    assert longest < 5


def connections_held(port: int) -> int:
    """Return how many established connections a process holds at this port; those that only the kernel still has are not among them."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" and line[9] != "0" for line in lines)
