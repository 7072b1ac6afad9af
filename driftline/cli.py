"""The command line: `driftline COMMAND`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Any, Final

_COMMANDS: Final = {
    "up": "put a proxy in front of a service, and watch what passes",
    "proxy": "the data plane alone: forward, mirror, record to a spool",
    "monitor": "the watching side alone: store, drift, metrics, alerts",
    "runtime": "serve ONNX models; convert, optimise, quantize, prune, pull them and score with them",
    "baseline": "make a baseline from a table or from the store",
    "accept": "make a model's traffic since a time its new baseline",
    "backtest": "run the detectors over a table, window by window",
    "demo": "the product on real input, in a minute",
    "forget": "delete everything about an exchange, a request or a subject",
    "keys": "make, list and revoke API keys",
    "config": "check a configuration file",
    "alerts": "rules and routes for Prometheus and Alertmanager; a test of who is told",
    "inject": "put Driftline into the pods of manifests",
    "injector": "the admission webhook that puts Driftline into a cluster's pods",
    "labels": "what turned out to be true of predictions, from a table",
    "export": "stored traffic as a Parquet file",
    "replay": "send stored traffic to a service, and compare the replies",
    "reprocess": "run the detectors again over a stored period",
    "sql": "one read-only query over the store",
    "version": "print the version",
}

_EXTRAS: Final = {
    "monitor": "monitor",
    "up": "monitor",
    "baseline": "monitor",
    "backtest": "monitor",
    "sql": "monitor",
    "labels": "monitor",
    "injector": "injector",
    "runtime": "runtime",
    "export": "monitor",
    "replay": "monitor",
    "reprocess": "monitor",
    "accept": "monitor",
    "forget": "monitor",
    "alerts": "monitor",
    "demo": "demo",
}
"""Which optional packages a command needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 asked wrongly."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in given if word in _COMMANDS), None)
    if chosen == "version":
        sys.stdout.write(f"driftline {metadata.version('driftline')}\n")
        return 0
    try:
        module = import_module(f"driftline.commands.{chosen}") if chosen else None
        parsed = _parser(chosen, module).parse_args(given)
        status: int = parsed.run(parsed)
    except ModuleNotFoundError as error:
        if chosen not in _EXTRAS or (error.name or "").startswith("driftline"):
            raise
        sys.stderr.write(f"driftline {chosen} needs the package {error.name}; install it with: pip install 'driftline[{_EXTRAS[chosen]}]'\n")
        return 2
    return status


def _parser(chosen: str | None, module: Any) -> argparse.ArgumentParser:
    """Return a parser that knows every command by name, and the arguments of the chosen one."""
    parser = argparse.ArgumentParser(prog="driftline", description="A serving sidecar that watches a model while it serves it.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen:
            module.configure(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
