"""Builds the images, runs each as locked down as it can be, and measures it. `python -m bench.images`; needs podman or docker, and root for what the kernel counts.

The containers stand as in a pod: the sample service has a network of its own without a way out, and each image joins it, so that everything is at its default address.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.processes import BenchmarkError, descendants, find_program, program, proportional_bytes
from bench.report import machine_sentence, markdown_table, write_json

ROOT = Path(__file__).parents[1]
PREFIX = "driftline-check"
LOCKED_DOWN = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
REQUESTS = 500
_READY_SECONDS = 60
_REQUEST = '{"inputs": [{"name": "petals", "shape": [1, 2], "datatype": "FP64", "data": [4.7, 1.4]}]}'
_ROWS = '{"inputs": [{"name": "x", "shape": [1, 30], "datatype": "FP32", "data": [' + ", ".join(["0.5"] * 30) + "]}]}"
_SEND = """
import ssl, sys, urllib.request
any_certificate = ssl._create_unverified_context()
for _ in range(int(sys.argv[3])):
    request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10, context=any_certificate) as reply:
        reply.read()
"""


_TRUSTS = "import ssl; assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 100"


_POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 8000}]}]}}
_REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {"uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "n", "operation": "CREATE", "object": _POD},
}


class Subject(msgspec.Struct, frozen=True):
    """An image, and how it is tried."""

    image: str
    what: str
    command: tuple[str, ...]
    memory: str
    """What the kernel lets it have; it is killed if it takes more."""
    url: str = "http://127.0.0.1:8080/v2/models/iris/infer"
    body: str = _REQUEST
    catches_up: bool = False
    """Whether its store comes only after the requests."""


class Figure(msgspec.Struct, frozen=True):
    """What an image showed."""

    image: str
    what: str
    size_bytes: int
    memory_limit: str
    resident_bytes: int
    """Of all its processes after the requests; pages that several share are counted once."""
    ready_seconds: float
    """From the start of the container to the first health check that passed."""


_UPSTREAM = ("--upstream", "http://127.0.0.1:9000")
SUBJECTS = (
    Subject("sidecar", "`proxy`: supervisor and one worker", ("proxy", "--listen", "127.0.0.1:8080", *_UPSTREAM, "--spool", "spool"), "64m"),
    Subject("edge", "`up` with examples/edge.yaml, its store out of reach", ("up", "--config", "/files/edge.yaml"), "120m"),
    Subject("edge", "likewise, after its store was back and had taken all", ("up", "--config", "/files/edge.yaml"), "120m", catches_up=True),
    Subject(
        "injector",
        "`injector` with a certificate",
        ("injector", "--config", "/files/injector.yaml"),
        "128m",
        "https://127.0.0.1:8443/inject",
        json.dumps(_REVIEW),
    ),
    Subject("monitor", "`up` with the embedded store", ("up", *_UPSTREAM, "--data-dir", "."), "1g"),
    Subject("runtime", "`runtime` with one small model", ("runtime", "--models", "/files/models"), "256m", "http://127.0.0.1:8000/v2/models/tiny/infer", _ROWS),
)


class Engine:
    """podman or docker."""

    def __init__(self, name: str, build_options: Sequence[str], run_options: Sequence[str]) -> None:
        self._program = name
        self._build_options = build_options
        self._run_options = run_options

    def build(self, target: str) -> None:
        """Build one target of deploy/Dockerfile."""
        self._call("build", *self._build_options, "--target", target, "--tag", f"driftline:{target}", "--file", "deploy/Dockerfile", ".", show=True)

    def start(self, container: str, image: str, *arguments: str) -> None:
        """Run a container in the background. `arguments` are options, the word "--", and the command."""
        options, command = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
        self._call("run", "--detach", "--name", container, *LOCKED_DOWN, *self._run_options, *options, f"driftline:{image}", *command)

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """Return what the engine knows of an image or a container."""
        found: list[dict[str, Any]] = json.loads(self._call(kind, "inspect", name))
        return found[0]

    def does(self, container: str, *command: str) -> bool:
        """Return whether a command succeeds in a container that runs."""
        return subprocess.run([self._program, "exec", container, *command], cwd=ROOT, check=False, capture_output=True).returncode == 0

    def starts(self, image: str, program: str) -> bool:
        """Return whether an image has this program."""
        command = [self._program, "run", "--rm", *self._run_options, "--network", "none", "--entrypoint", program, f"driftline:{image}", "-c", "exit 0"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def log(self, container: str) -> str:
        """Return the end of what a container said."""
        finished = subprocess.run([self._program, "logs", container], check=False, capture_output=True, text=True)
        return (finished.stdout + finished.stderr)[-2000:]

    def stop(self, container: str) -> int:
        """Stop a container as an orchestrator does; return its exit status."""
        self._call("stop", "--time", "40", container)
        return int(self.inspect("container", container)["State"]["ExitCode"])

    def remove(self, container: str) -> None:
        """Leave nothing of it."""
        subprocess.run([self._program, "rm", "--force", "--volumes", container], check=False, capture_output=True)

    def _call(self, *arguments: str, show: bool = False) -> str:
        finished = subprocess.run(
            [self._program, *arguments], cwd=ROOT, check=False, stdout=None if show else subprocess.PIPE, text=True, stderr=None if show else subprocess.PIPE
        )
        if finished.returncode:
            raise BenchmarkError(f"`{self._program} {shlex.join(arguments)}` ended with status {finished.returncode}:\n{finished.stderr or ''}")
        return finished.stdout or ""


def measure(engine: Engine, subject: Subject, files: Path) -> Figure:
    """Run an image beside the sample service; raise BenchmarkError where it does not do what its page says."""
    image, container = engine.inspect("image", f"driftline:{subject.image}"), f"{PREFIX}-{subject.image}"
    for shell in ("/bin/sh", "/bin/bash", "/usr/bin/apt", "/usr/bin/pip"):
        if engine.starts(subject.image, shell):
            raise BenchmarkError(f"the image {subject.image} has {shell}, and should have none")
    try:
        began = time.monotonic()
        mounts = ("--volume", f"{files}:/files:ro")
        network = ("--network", f"container:{PREFIX}-sample")
        engine.start(container, subject.image, *network, "--memory", subject.memory, *mounts, "--", *subject.command)
        health = (image.get("HealthCheck") or image.get("Healthcheck") or image["Config"]["Healthcheck"])["Test"][1:]
        _wait(lambda: engine.does(container, *health), engine, container)
        ready_seconds = time.monotonic() - began
        if not engine.does(container, "python", "-c", _TRUSTS):
            raise BenchmarkError(f"{subject.image} trusts no certificate authority: https:// would fail")
        if not engine.does(f"{PREFIX}-sample", "python", "-c", _SEND, subject.url, subject.body, str(REQUESTS)):
            raise BenchmarkError(f"{subject.image} did not answer {REQUESTS} requests:\n{engine.log(container)}")
        if subject.catches_up:
            _catch_up(engine, container, files)
        time.sleep(3)  # what was answered is stored
        leader = int(engine.inspect("container", container)["State"]["Pid"])
        resident = proportional_bytes(descendants([leader]))
        if status := engine.stop(container):
            raise BenchmarkError(f"{subject.image} ended with status {status} when it was told to stop:\n{engine.log(container)}")
    finally:
        engine.remove(container)
    return Figure(subject.image, subject.what, int(image["Size"]), subject.memory, resident, round(ready_seconds, 1))


def report(figures: Sequence[Figure]) -> str:
    """Return the table of the page."""
    heads = ["image", "run as", "size MB", "resident MB", "within", "ready after s"]
    rows = [(f"`{f.image}`", f.what, f"{f.size_bytes / 1e6:,.0f}", f"{f.resident_bytes / 1e6:.0f}", f.memory_limit, f"{f.ready_seconds:.1f}") for f in figures]
    return markdown_table(heads, rows)


def _catch_up(engine: Engine, container: str, files: Path) -> None:
    """Start the server of the tests, which speaks ClickHouse's protocol in front of chDB, where the container looks for one, and wait until it has everything."""
    network = f"--net=/proc/{engine.inspect('container', container)['State']['Pid']}/ns/net"
    server = (
        f"from pathlib import Path; from tests.store.clickhouse_server import ClickHouseServer; ClickHouseServer(Path({str(files)!r}) / 'far', 8123); input()"
    )
    with subprocess.Popen(["nsenter", network, sys.executable, "-c", server], cwd=ROOT, stdin=subprocess.PIPE) as far:
        try:
            _wait(lambda: "the store takes records again" in engine.log(container), engine, container)
            time.sleep(5)  # several batches
        finally:
            far.terminate()


def _wait(ready: Callable[[], bool], engine: Engine, container: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{container} was not healthy within {_READY_SECONDS} s:\n{engine.log(container)}")
        time.sleep(0.1)


def _files(directory: Path) -> Path:
    """Write what the containers read: a model, a certificate with its key, and the settings that name these."""
    from bench.runtime_models import write_models  # noqa: PLC0415 - scikit-learn

    version = directory / "models" / "tiny" / "1"
    version.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as made:
        shutil.copy(write_models(Path(made))["tiny"], version / "model.onnx")
    certificate = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=injector", "-days", "2")
    out = ("-keyout", str(directory / "tls.key"), "-out", str(directory / "tls.crt"))
    subprocess.run([program("openssl", "openssl"), *certificate, *out], check=True, capture_output=True)
    (directory / "injector.yaml").write_text("injector: {tls: {certificate: /files/tls.crt, key: /files/tls.key}}\n")
    edge = (ROOT / "examples" / "edge.yaml").read_text()
    (directory / "edge.yaml").write_text(
        re.sub(r"clickhouse: .*", "clickhouse: http://127.0.0.1:8123/driftline", edge).replace("batch_wait: 30s", "batch_wait: 1s")
    )
    for path in (directory, *directory.rglob("*")):  # the containers' user is nobody here
        path.chmod(0o755 if path.is_dir() else 0o644)
    return directory


def main() -> None:
    """Build, run, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="podman" if find_program("podman") else "docker", help="podman or docker (default: podman where it is)")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="these images")
    parser.add_argument("--build-options", default="", metavar="TEXT", help="more options for `build`, in one string")
    parser.add_argument("--run-options", default="", metavar="TEXT", help="more options for `run`, in one string")
    parser.add_argument("--no-build", action="store_true", help="try the images that are there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    engine = Engine(arguments.engine, shlex.split(arguments.build_options), shlex.split(arguments.run_options))
    subjects = [subject for subject in SUBJECTS if not arguments.only or subject.image in arguments.only.split(",")]
    try:
        for target in () if arguments.no_build else dict.fromkeys(("sample", *(subject.image for subject in subjects))):
            engine.build(target)
        with tempfile.TemporaryDirectory() as directory:
            files = _files(Path(directory))
            engine.remove(f"{PREFIX}-sample")
            engine.start(f"{PREFIX}-sample", "sample", "--network", "none", "--", "/examples/service.py")
            try:
                listens = ("python", "-c", "import socket; socket.create_connection(('127.0.0.1', 9000), 2)")
                _wait(lambda: engine.does(f"{PREFIX}-sample", *listens), engine, f"{PREFIX}-sample")
                figures = [measure(engine, subject, files) for subject in subjects]
            finally:
                engine.remove(f"{PREFIX}-sample")
    except BenchmarkError as error:
        sys.exit(f"bench.images: {error}")
    print(f"{machine_sentence()}\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


if __name__ == "__main__":
    main()
