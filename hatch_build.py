"""Compiles the data plane with mypyc: the same sources, about half the CPU per request (docs/decisions/0005-compiled-data-plane.md).

`make setup` runs it in the source tree where there is a C compiler; `HATCH_BUILD_HOOKS_ENABLE=1 pip wheel .` makes a wheel for one
platform. Without either the modules run as the plain Python that they are.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError

ROOT: Final = Path(__file__).parent

MODULES: Final = (
    "records/ids.py",
    "http1/grammar.py",
    "http1/reader.py",
    "http1/fields.py",
    "http1/request.py",
    "http1/reply.py",
    "proxy/capture.py",
    "proxy/writing.py",
    "proxy/tally.py",
    "proxy/heads.py",
    "proxy/replies.py",
    "proxy/routing.py",
    "proxy/breaker.py",
    "proxy/sampling.py",
    "proxy/tracing.py",
    "proxy/route.py",
    "proxy/balancing.py",
    "proxy/endpoint.py",
    "proxy/pool.py",
    "proxy/upstream.py",
    "proxy/mirror.py",
    "proxy/tunnel.py",
    "proxy/flight.py",
    "proxy/client.py",
    "proxy/context.py",
    "runtime/refusal.py",
    "runtime/reply.py",
    "runtime/packing.py",
    "runtime/inference.py",
    "runtime/latency.py",
    "runtime/batching.py",
    "runtime/crowd.py",
    "runtime/tally.py",
    "runtime/stacking.py",
    "runtime/open_inference.py",
    "runtime/lane.py",
    "runtime/service.py",
    "runtime/connection.py",
    "privacy/tap.py",
    "payloads/refusal.py",
    "payloads/content_coding.py",
    "payloads/open_inference.py",
    "payloads/decoding.py",
    "detectors/columns.py",
    "store/spool/encoding.py",
    "store/spool/format.py",
    "store/spool/writer.py",
)
"""What runs once or more per request, and nothing else."""

_GROUP: Final = "driftline"


def compiled_files() -> list[Path]:
    """Return the extension modules that lie in the source tree."""
    beside = [file for module in MODULES for file in (ROOT / module).parent.glob(f"{Path(module).stem}.*.so")]
    return [*ROOT.glob(f"{_GROUP}__mypyc.*.so"), *beside]


def compile_in_place() -> None:
    """Put an extension module beside each of `MODULES`. Needs a C compiler, Python's headers, mypy and setuptools."""
    extensions = mypycify(list(MODULES), opt_level="2", debug_level="0", group_name=_GROUP, target_dir="build/mypyc")
    command = build_ext(Distribution({"name": _GROUP, "ext_modules": extensions}))
    command.inplace = True
    command.build_temp = "build/mypyc"
    command.ensure_finalized()
    command.run()
    for file in compiled_files():
        file.touch()  # what was compiled the same way before is kept with its old time


class CustomBuildHook(BuildHookInterface):
    """Makes the compiled wheel; hatch runs it where it is asked for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch's signature
        """See BuildHookInterface."""
        compile_in_place()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {str(file): str(file.relative_to(ROOT)) for file in compiled_files()}


def missing() -> str:
    """Return what this machine lacks for compiling; empty where it lacks nothing."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if not shutil.which(compiler):
        return f"a C compiler ({compiler})"
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return "" if header.exists() else f"Python's headers ({header})"


def remove() -> None:
    """Go back to plain Python."""
    for file in compiled_files():
        file.unlink()


def main() -> None:
    """Compile in the source tree where that is possible; with `--remove`, only remove what was compiled."""
    remove()
    if "--remove" in sys.argv[1:]:
        return
    lacking = missing()
    if not lacking:
        try:
            compile_in_place()
        except CCompilerError as error:
            remove()
            lacking = f"a C compiler that takes what mypyc makes ({error})"
    if lacking:
        print(f"Not compiled, for want of {lacking}. The data plane runs as plain Python, at about twice the CPU per request.")
        print("On Debian and Ubuntu: apt-get install gcc python3-dev, rm .venv/.compiled, and `make setup` again.")


if __name__ == "__main__":
    main()
