"""Files of manifests, injected without a cluster: pods, and what makes pods; everything else goes through as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

from injection.operations import applied
from injection.patching import Injection, patch
from injection.pod import Pod, read_pod

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_INTEGER: Final = "tag:yaml.org,2002:int"
_FLOAT: Final = "tag:yaml.org,2002:float"
_BOOLEAN: Final = "tag:yaml.org,2002:bool"

_TEMPLATES: Final = {
    ("v1", "Pod"): "",
    ("v1", "ReplicationController"): "/spec/template",
    ("apps/v1", "Deployment"): "/spec/template",
    ("apps/v1", "DaemonSet"): "/spec/template",
    ("apps/v1", "ReplicaSet"): "/spec/template",
    ("apps/v1", "StatefulSet"): "/spec/template",
    ("batch/v1", "Job"): "/spec/template",
    ("batch/v1", "CronJob"): "/spec/jobTemplate/spec/template",
}
"""Where pods, or templates of pods, stand, by apiVersion and kind."""


class Injected(NamedTuple):
    """A file of manifests with Driftline in its pods."""

    text: str
    messages: list[str]
    """A sentence for each thing that is worth knowing, with the manifest's name."""
    failed: bool
    """Whether Driftline could not be brought into a pod."""


def inject_manifests(text: str, injection: Injection) -> Injected:
    """Return YAML with Driftline in every pod, without asking for the label that a cluster's webhook asks for. Raises ValueError where it is no YAML."""
    messages: list[str] = []
    failed = False
    documents = []
    for document in _documents(text):
        changed = document
        for place, template in _templates(document):
            found = patch(_pod(document, place, template), injection, asked=True)
            messages += [f"{_name(document)}: {warning}" for warning in found.warnings]
            failed = failed or (not found.injected and bool(found.warnings))
            if found.injected:
                changed = applied(changed, [operation.below(place) for operation in found.operations])
        documents.append(changed)
    return Injected(yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True), messages, failed)


def _documents(text: str) -> list[Any]:
    try:
        return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"not YAML: {error}") from None
    except RecursionError:
        raise ValueError("not YAML: found something nested without end") from None


def _templates(document: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield where pods stand in a document, and the pods."""
    if not isinstance(document, dict):
        return
    if document.get("kind") == "List" and isinstance(document.get("items"), list):
        for index, item in enumerate(document["items"]):
            yield from _templates(item, f"{place}/items/{index}")
        return
    below = _TEMPLATES.get((str(document.get("apiVersion")), str(document.get("kind"))))
    if below is not None:
        for step in below.split("/")[1:]:
            document = document.get(step) if isinstance(document, dict) else None
        yield f"{place}{below}", document


def _pod(document: Any, place: str, template: Any) -> Pod:
    try:
        return read_pod(template)
    except ValueError as error:
        raise ValueError(f"{_name(document)}{place}: {error}") from None


def _name(document: Any) -> str:
    metadata = document.get("metadata")
    name = (metadata.get("name") or metadata.get("generateName")) if isinstance(metadata, dict) else None
    return f"{document['kind']} {name or ''}".strip()


class _Loader(yaml.SafeLoader):
    """Reads as kubectl does: neither dates nor numbers to the base of sixty."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {_TIMESTAMP, _INTEGER, _FLOAT}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

_NUMBERS: Final = {
    _INTEGER: re.compile(r"[-+]?(0b[01]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F]+)$"),
    _FLOAT: re.compile(r"[-+]?(([0-9][0-9_]*\.[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"),
}
_SHORT_BOOLEAN: Final = re.compile(r"[yYnN]$")


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
# What kubectl would take for something else is quoted: a version that reads 12e4 must stay a text.
for _tag, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, list("-+0123456789."))
    _Dumper.add_implicit_resolver(_tag, _pattern, list("-+0123456789."))
_Dumper.add_implicit_resolver(_BOOLEAN, _SHORT_BOOLEAN, list("yYnN"))
