"""nginx in the foreground with one worker: as upstream, as shadow, and as the proxy to compare with."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from bench import load
from bench.processes import program

_FRAME = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_requests 1000000000;
  # Bodies of 64 KB in memory: by default they would go through files.
  client_body_buffer_size 128k; proxy_buffer_size 16k; proxy_buffers 16 16k;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{http}
}}
"""

_LONGEST_WORD = 3000

_STATUS = "location = /requests { stub_status; }"

_POOL = "upstream {name} {{ server 127.0.0.1:{port}; keepalive 128; keepalive_requests 1000000000; }}"

_FORWARD = 'proxy_http_version 1.1; proxy_set_header Connection "";'


def answering(room: Path, port: int, body_sizes: Sequence[int]) -> list[str]:
    """Return the command of a service that answers as a model does, by the target with a body of one of these sizes."""
    locations = " ".join(_location(size) for size in body_sizes)
    return _command(room, f"server {{ listen 127.0.0.1:{port} backlog=4096; {_STATUS} location / {{ return 404; }} {locations} }}")


def _location(size: int) -> str:
    """A body larger than what nginx takes as one word is put together from variables."""
    body = load.reply_body(size)
    parts = [body[at : at + _LONGEST_WORD] for at in range(0, size, _LONGEST_WORD)]
    variables = " ".join(f"set $part{number} '{part}';" for number, part in enumerate(parts))
    names = "".join(f"$part{number}" for number in range(len(parts)))
    return f'location = {load.path(size)} {{ {variables} return 200 "{names}"; }}'


def answering_empty(room: Path, port: int) -> list[str]:
    """Return the command of a service that answers every request with 204."""
    return _command(room, f"server {{ listen 127.0.0.1:{port} backlog=4096; {_STATUS} location / {{ return 204; }} }}")


def forwarding(room: Path, port: int, upstream: int) -> list[str]:
    """Return the command of a proxy with kept-alive upstream connections."""
    pool = _POOL.format(name="model", port=upstream)
    return _command(room, f"{pool} server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {_FORWARD} proxy_pass http://model; }} }}")


def mirroring(room: Path, port: int, upstream: int, shadow: int) -> list[str]:
    """Return the command of a proxy that sends a copy of every request to a shadow and discards the reply."""
    pools = _POOL.format(name="model", port=upstream) + _POOL.format(name="shadow", port=shadow)
    copies = f"location = /copy {{ internal; {_FORWARD} proxy_pass http://shadow$request_uri; }}"
    return _command(
        room, f"{pools} server {{ listen 127.0.0.1:{port} backlog=4096; {copies} location / {{ mirror /copy; {_FORWARD} proxy_pass http://model; }} }}"
    )


def requests_served(port: int) -> int:
    """Return how many requests a service has answered since it started, by its own count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/requests") as reply:
        text = reply.read().decode()
    found = re.search(r"^\s*\d+\s+\d+\s+(\d+)\s*$", text, re.MULTILINE)
    assert found, f"nginx's stub_status has another form than expected: {text}"
    return int(found[1])


def _command(room: Path, http: str) -> list[str]:
    settings = room / "nginx.conf"
    settings.write_text(_FRAME.format(http=http))
    return [program("nginx", "nginx"), "-e", "stderr", "-p", str(room), "-c", str(settings)]
