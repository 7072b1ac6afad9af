"""Annotations as the page docs/annotations.md: `python -m injection.reference` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from config.declare import Declaration, declarations
from injection.annotations import Annotations, annotation
from injection.pod import INJECT_LABEL, SETTINGS_ANNOTATION, WARNINGS_ANNOTATION

_INTRODUCTION: Final = f"""\
<!-- Made by `python -m injection.reference`: edit injection/annotations.py and run `make generate`. -->

# Annotations of pods

What [injection](inject.md) asks of a pod. All of them belong to the pod, so in a Deployment to `spec.template.metadata.annotations`; all are optional, and all values are text, so
quote numbers. One that is unknown or makes no sense leaves the pod without Driftline, and says so.

| label | what it does |
| --- | --- |
| `{INJECT_LABEL}: "true"` | On a pod or on a namespace: pods are injected. |
| `{INJECT_LABEL}: "false"` | On a pod: it is not, whatever its namespace says. |

"""

_OURS: Final = f"""
Injection itself writes two:

| annotation | what it holds |
| --- | --- |
| `{SETTINGS_ANNOTATION}` | What the Driftline in the pod is told, in the form of its [configuration file](settings.md); the containers read it as a file. |
| `{WARNINGS_ANNOTATION}` | Why the pod has no Driftline, or what is to be done so that its traffic takes the way through it. |
"""


def page() -> str:
    """Return the page as Markdown."""
    return _INTRODUCTION + "\n".join(_rows()) + "\n" + _OURS


def _rows() -> Iterator[str]:
    yield "| annotation | for example | what it does |\n| --- | --- | --- |"
    yield from (_row(declaration) for declaration in declarations(Annotations).values())


def _row(declaration: Declaration) -> str:
    bounds = f" {declaration.bounds[0].upper()}{declaration.bounds[1:]}." if declaration.bounds else ""
    return f"| `{annotation(declaration.name)}` | `{declaration.example}` | {declaration.help}{bounds} |"


if __name__ == "__main__":
    sys.stdout.write(page())
