"""The proxies that `bench.proxy` compares, each as the command that runs it in the foreground on one core."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bench import nginx
from bench.processes import PROXY_CORES, BenchmarkError, find_program


@dataclass(frozen=True)
class Services:
    """Where the services listen that the proxies forward and mirror to: ports of 127.0.0.1."""

    upstream: int
    shadow: int
    """Answers with a body, as models do."""
    silent_shadow: int
    """Answers 204."""
    body_sizes: tuple[int, ...]
    """Bytes of the bodies that are sent and answered, by target."""


@dataclass(frozen=True)
class Place:
    """Where a contender runs: an empty directory, a directory for a spool, the port to listen on."""

    room: Path
    spool: Path
    port: int


Command: TypeAlias = Callable[[Place, Services], list[str]]


@dataclass(frozen=True)
class Contender:
    """A proxy in one way of use."""

    name: str
    title: str
    command: Command
    mirrors_to: Literal["", "shadow", "silent_shadow"] = ""
    records_per_request: int = 0
    """Exchange records that each request must leave in the spool."""
    traced: bool = False
    """Whether every request carries a trace context of its own."""
    workers: int = 1
    """Cores that it runs on."""


def contenders() -> tuple[Contender, ...]:
    """Return all that can run here, in the order of the table."""
    haproxy = find_program("haproxy")
    optional = (Contender("haproxy", "HAProxy", _haproxy(haproxy)),) if haproxy else ()
    two = Contender("driftline-two", "Driftline, capture, two workers", _driftline_two, "", 1, workers=2)
    return (
        Contender("direct", "no proxy, nginx answers", _direct),
        Contender("floor", "floor: bytes passed on unread", _floor),
        Contender("floor-mirror", "floor: and copied to a shadow", _floor_mirror, "shadow"),
        *optional,
        Contender("nginx", "nginx proxy_pass", _nginx),
        Contender("nginx-mirror-204", "nginx mirror, shadow answers 204", _nginx_mirror_silent, "silent_shadow"),
        Contender("nginx-mirror", "nginx mirror, shadow answers with a body", _nginx_mirror, "shadow"),
        Contender("aiohttp", "aiohttp server and client, uvloop", _aiohttp),
        Contender("driftline-forward", "Driftline, forward only (capture: off)", _driftline_forward),
        Contender("driftline-capture", "Driftline, capture", _driftline_capture, "", 1),
        Contender("driftline-plain", "Driftline, capture, not compiled", _driftline_plain, "", 1),
        Contender("driftline-traced", "Driftline, capture, every request with its own traceparent", _driftline_capture, "", 1, traced=True),
        Contender("driftline-mirror-only", "Driftline, mirror only (capture: off)", _driftline_mirror_only, "shadow"),
        Contender("driftline-mirror", "Driftline, capture and mirror, both replies captured", _driftline_mirror, "shadow", 2),
        *((two,) if len(PROXY_CORES) > 1 else ()),
    )


def _direct(place: Place, services: Services) -> list[str]:
    return nginx.answering(place.room, place.port, services.body_sizes)


def _floor(place: Place, services: Services) -> list[str]:
    return [sys.executable, "-m", "bench.bare_proxy", str(place.port), str(services.upstream)]


def _floor_mirror(place: Place, services: Services) -> list[str]:
    return [*_floor(place, services), str(services.shadow)]


def _nginx(place: Place, services: Services) -> list[str]:
    return nginx.forwarding(place.room, place.port, services.upstream)


def _nginx_mirror(place: Place, services: Services) -> list[str]:
    return nginx.mirroring(place.room, place.port, services.upstream, services.shadow)


def _nginx_mirror_silent(place: Place, services: Services) -> list[str]:
    return nginx.mirroring(place.room, place.port, services.upstream, services.silent_shadow)


def _haproxy(path: str) -> Command:
    def command(place: Place, services: Services) -> list[str]:
        settings = place.room / "haproxy.cfg"
        settings.write_text(
            "global\n  nbthread 1\n  maxconn 4096\n"
            "defaults\n  mode http\n  http-reuse always\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
            f"frontend clients\n  bind 127.0.0.1:{place.port}\n  default_backend model\n"
            f"backend model\n  server model 127.0.0.1:{services.upstream}\n"
        )
        return [path, "-db", "-f", str(settings)]

    return command


def _aiohttp(place: Place, services: Services) -> list[str]:
    return [sys.executable, "-m", "bench.aiohttp_proxy", str(place.port), str(services.upstream)]


def _driftline_forward(place: Place, services: Services) -> list[str]:
    return _driftline(place, {"upstream": _url(services.upstream), "capture": "off"})


def _driftline_capture(place: Place, services: Services) -> list[str]:
    return _driftline(place, {"upstream": _url(services.upstream)})


def _driftline_mirror(place: Place, services: Services) -> list[str]:
    return _driftline(place, {"upstream": _url(services.upstream), "shadows": [_shadow(services)]})


def _driftline_mirror_only(place: Place, services: Services) -> list[str]:
    """As nginx's mirror module does it: nothing is kept."""
    return _driftline(place, {"upstream": _url(services.upstream), "shadows": [_shadow(services)], "capture": "off"})


def _shadow(services: Services) -> dict[str, Any]:
    """As many copies at once as there may be requests: what is left out would make mirroring look cheap."""
    return {"url": _url(services.shadow), "max_in_flight": 1024}


def _driftline(place: Place, route: dict[str, Any]) -> list[str]:
    """One worker with one route, and a spool with room for every record of a run: nobody reads them."""
    program = Path(sys.executable).with_name("driftline")
    if not program.exists():
        raise BenchmarkError(f"{program} is missing: run `make setup` first")
    settings = place.room / "driftline.yaml"
    settings.write_text(json.dumps({"spool": {"max_size": "32 GiB"}, "routes": [route]}))  # JSON is YAML
    address = f"127.0.0.1:{place.port}"
    return [str(program), "proxy", "--config", str(settings), "--listen", address, "--spool", str(place.spool), "--workers", "1"]


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _driftline_two(place: Place, services: Services) -> list[str]:
    return [*_driftline_capture(place, services)[:-1], "2"]


def _driftline_plain(place: Place, services: Services) -> list[str]:
    """As on a machine without a C compiler: from a copy of the sources, without what lies compiled beside them."""
    root, copy = Path(__file__).parent.parent, place.room / "plain"
    for room in sorted(file.parent for file in root.glob("*/__init__.py")):
        shutil.copytree(room, copy / room.name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    _, *options = _driftline_capture(place, services)
    return ["env", f"--chdir={copy}", f"PYTHONPATH={copy}", sys.executable, "-c", "from driftline.cli import main; main()", *options]
