"""nginx in the foreground with one worker: as upstream, as shadow, and as the proxy to compare with."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

from bench.load import REPLY_BODY
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
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{http}
}}
"""

_STATUS = "location = /requests { stub_status; }"

_POOL = "upstream {name} {{ server 127.0.0.1:{port}; keepalive 128; keepalive_requests 1000000000; }}"

_FORWARD = 'proxy_http_version 1.1; proxy_set_header Connection "";'


def answering(room: Path, port: int) -> list[str]:
    """Return the command of a service that answers every request as a model does."""
    return _command(room, f"server {{ listen 127.0.0.1:{port}; {_STATUS} location / {{ return 200 '{REPLY_BODY}'; }} }}")


def answering_empty(room: Path, port: int) -> list[str]:
    """Return the command of a service that answers every request with 204."""
    return _command(room, f"server {{ listen 127.0.0.1:{port}; {_STATUS} location / {{ return 204; }} }}")


def forwarding(room: Path, port: int, upstream: int) -> list[str]:
    """Return the command of a proxy with kept-alive upstream connections."""
    pool = _POOL.format(name="model", port=upstream)
    return _command(room, f"{pool} server {{ listen 127.0.0.1:{port}; location / {{ {_FORWARD} proxy_pass http://model; }} }}")


def mirroring(room: Path, port: int, upstream: int, shadow: int) -> list[str]:
    """Return the command of a proxy that sends a copy of every request to a shadow and discards the reply."""
    pools = _POOL.format(name="model", port=upstream) + _POOL.format(name="shadow", port=shadow)
    copies = f"location = /copy {{ internal; {_FORWARD} proxy_pass http://shadow$request_uri; }}"
    return _command(room, f"{pools} server {{ listen 127.0.0.1:{port}; {copies} location / {{ mirror /copy; {_FORWARD} proxy_pass http://model; }} }}")


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
