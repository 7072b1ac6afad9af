"""Load from `wrk`: one request over and over on kept-alive connections."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec

from bench.processes import LOAD_CORES, BenchmarkError, program

_NUMBER = "0.97,"


def path(body_bytes: int) -> str:
    """Return the target of requests whose replies have bodies of this size."""
    return f"/v2/models/m{body_bytes}/infer"


def request_body(size: int) -> str:
    """Return an Open Inference V2 request of so many bytes: one row of numbers."""
    return _filled('{"inputs":[{"name":"features","shape":[1,-1],"datatype":"FP32","data":[', "1]}]}", size)


def reply_body(size: int) -> str:
    """Return an Open Inference V2 reply of so many bytes."""
    return _filled('{"model_name":"m","outputs":[{"name":"y","datatype":"FP32","shape":[-1],"data":[', "1]}]}", size)


def _filled(begin: str, end: str, size: int) -> str:
    room = size - len(begin) - len(end)
    if room < 0:
        raise BenchmarkError(f"a body of {size} bytes is too small: ask for 128 or more")
    return begin + _NUMBER * (room // len(_NUMBER)) + " " * (room % len(_NUMBER)) + end


_SCRIPT = """
wrk.method = "POST"
wrk.body = [==[%s]==]
wrk.headers["Content-Type"] = "application/json"

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{"requests":%%d,"failed":%%d,"seconds":%%f,"p50_us":%%f,"p99_us":%%f}\\n',
    summary.requests, failed, summary.duration / 1e6, latency:percentile(50), latency:percentile(99)))
end
"""

_TRACED = """
local sent = 0

function request()
  sent = sent + 1
  wrk.headers["traceparent"] = string.format("00-%032x-%016x-01", sent, sent)
  return wrk.format()
end
"""


class Load(msgspec.Struct, frozen=True):
    """What the clients saw."""

    requests: int
    failed: int
    seconds: float
    p50_us: float
    p99_us: float


def apply_load(port: int, connections: int, body_bytes: int, seconds: int, room: Path, *, traced: bool = False) -> Load:
    """Send requests for so many seconds (wrk takes whole ones) and return what came of them.

    Requests and replies have bodies of `body_bytes`. `room` is a directory for the script. With `traced` every request carries a `traceparent` of its own, so that no two heads are equal.
    """
    return send(port, connections, path(body_bytes), request_body(body_bytes), seconds, room, extra=_TRACED if traced else "")


def send(port: int, connections: int, target: str, body: str, seconds: int, room: Path, *, extra: str = "") -> Load:
    """Send this request for so many seconds, over and over; `extra` is Lua."""
    script = room / "request.lua"
    script.write_text(_SCRIPT % body + extra)
    wrk = [program("wrk", "wrk"), "--threads=1", f"--connections={connections}", f"--duration={seconds}s", f"--script={script}"]
    command = ["taskset", "--cpu-list", ",".join(map(str, LOAD_CORES)), *wrk, f"http://127.0.0.1:{port}{target}"]
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise BenchmarkError(f"wrk failed: {finished.stdout}{finished.stderr}")
    return msgspec.convert(json.loads(finished.stdout.splitlines()[-1]), Load)
