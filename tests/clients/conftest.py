"""`driftline proxy` as a user starts it, before real servers; each test talks to it with a real client."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bench.processes import CORES, find_program, free_port, running

HERE = Path(__file__).parent
DRIFTLINE = Path(sys.executable).with_name("driftline")


def program(name: str, package: str) -> str:
    """Return the path of an installed program, or skip the test with a line that says what to install."""
    path = find_program(name)
    if path is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return path


@contextmanager
def serving(room: Path, command: Callable[[Path, int], list[str]]) -> Iterator[int]:
    """Run a server in a directory of its own; yield its port."""
    room.mkdir()
    port = free_port()
    with running(room.name, command(room, port), port=port, cores=CORES, log=room / "log"):
        yield port


def proxying(upstream: int, settings: str = "") -> Callable[[Path, int], list[str]]:
    """Return how a proxy before a server on this port is started; `settings` is a configuration file's text."""

    def command(room: Path, port: int) -> list[str]:
        (room / "driftline.yaml").write_text(settings)
        addresses = ["--listen", f"127.0.0.1:{port}", "--upstream", f"http://127.0.0.1:{upstream}"]
        return [str(DRIFTLINE), "proxy", "--config", str(room / "driftline.yaml"), *addresses, "--spool", str(room / "spool")]

    return command


def uvicorn(_room: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "asgi_service:app"]


def gunicorn(_room: Path, port: int) -> list[str]:
    threads = ["--worker-class", "gthread", "--threads", "4", "--keep-alive", "10"]
    return [sys.executable, "-m", "gunicorn", "--chdir", str(HERE), "--bind", f"127.0.0.1:{port}", *threads, "wsgi_service:app"]


def node(_room: Path, port: int) -> list[str]:
    return [program("node", "nodejs"), str(HERE / "node_service.js"), str(port)]


def nginx(room: Path, port: int) -> list[str]:
    """Serves files, and puts what is uploaded into them."""
    (room / "files").mkdir()
    (room / "nginx.conf").write_text(
        ("user root; " if os.geteuid() == 0 else "")  # who may read pytest's directories
        + "daemon off; worker_processes 1; pid nginx.pid; error_log stderr error; events {}\n"
        "http { access_log off; client_max_body_size 0; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
        "uwsgi_temp_path uwsgi; scgi_temp_path scgi; gzip on; gzip_types *; gzip_proxied any;\n"
        f"server {{ listen 127.0.0.1:{port}; root files; dav_methods PUT DELETE; }} }}\n"
    )
    return [program("nginx", "nginx"), "-e", "stderr", "-p", str(room), "-c", str(room / "nginx.conf")]


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def proxy(room: Path) -> Iterator[str]:
    """Yield the URL of a proxy before uvicorn."""
    with ExitStack() as stack:
        upstream = stack.enter_context(serving(room / "uvicorn", uvicorn))
        yield f"http://127.0.0.1:{stack.enter_context(serving(room / 'driftline', proxying(upstream)))}"
        log = (room / "driftline" / "log").read_text()
        assert "Traceback" not in log, log
    shutil.rmtree(room / "driftline" / "spool")
