"""Load from `wrk`: one request over and over on kept-alive connections."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec

from bench.processes import LOAD_CORE, BenchmarkError, program

REQUEST_PATH = "/v2/models/m/infer"
_NUMBERS = ",".join(f"{10 + 0.3 * index:.2f}" for index in range(30))
REQUEST_BODY = f'{{"inputs":[{{"name":"features","shape":[1,30],"datatype":"FP32","data":[{_NUMBERS}]}}]}}'
"""254 bytes of Open Inference V2: one row of 30 numbers."""
REPLY_BODY = '{"model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[0.97]}]}'
"""107 bytes."""

_SCRIPT = """
wrk.method = "POST"
wrk.body = [[%s]]
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


def apply_load(port: int, connections: int, seconds: int, room: Path, *, traced: bool = False) -> Load:
    """Send requests for so many seconds (wrk takes whole ones) and return what came of them.

    `room` is a directory for the script. With `traced` every request carries a `traceparent` of its own, so that no two heads are equal.
    """
    script = room / "request.lua"
    script.write_text(_SCRIPT % REQUEST_BODY + (_TRACED if traced else ""))
    wrk = [program("wrk", "wrk"), "--threads=1", f"--connections={connections}", f"--duration={seconds}s", f"--script={script}"]
    command = ["taskset", "--cpu-list", str(LOAD_CORE), *wrk, f"http://127.0.0.1:{port}{REQUEST_PATH}"]
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise BenchmarkError(f"wrk failed: {finished.stdout}{finished.stderr}")
    return msgspec.convert(json.loads(finished.stdout.splitlines()[-1]), Load)
