"""`driftline inject`: Driftline in the pods of manifests, as the webhook would put it there, without a cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from config.load import ConfigError
from driftline.injecting import injection_of
from injection.manifests import inject_manifests


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-f", "--file", metavar="FILE", required=True, help="manifests in YAML; - is standard input")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the injector's file of settings (docs/inject.md); by default every setting's default")


def run(arguments: argparse.Namespace) -> int:
    """Write the manifests with Driftline in them; 1 where it could not be brought into one of the pods."""
    try:
        injection = injection_of(arguments.config)
        text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(encoding="utf-8")
        injected = inject_manifests(text, injection)
    except ConfigError as error:
        sys.stderr.write(f"driftline: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"driftline: {arguments.file}: expected a file that can be read, found: {error.strerror}\n")
        return 2
    except ValueError as error:
        sys.stderr.write(f"driftline: {arguments.file}: {error}\n")
        return 2
    sys.stdout.write(injected.text)
    sys.stderr.writelines(f"driftline: {message}\n" for message in injected.messages)
    return 1 if injected.failed else 0
