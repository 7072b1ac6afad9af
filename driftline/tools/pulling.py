"""`driftline runtime pull`: versions of an MLflow registry become versions in the directory of models, and follow its aliases.

Of a model that is pulled, the directory has the versions that the URIs mean now. A new one is verified before it is put there, under its number in
the registry, with the aliases that were asked for as labels; then those that nothing means any more are removed, so that whoever asks for no
version gets what the alias says, also when it goes back. What does not come from the registry is left alone. Each step is one rename, so that the
runtime sees a version whole or not at all, and a kill between two steps leaves what the next round goes on from.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from config.choices import Device
from driftline.tools.asked import told
from driftline.tools.conversion import held_against_original
from runtime.repository import MODEL_FILE, REPORT_FILE, SETTINGS_FILE, Repository, RepositoryError
from runtime.session import ModelError
from runtime.tools.convert import convert
from runtime.tools.errors import ToolError
from runtime.tools.registry import Reference, Registry, UnusableError, convertible_of, copy_onnx, flavours_of, onnx_of, reference_of
from runtime.verification import VerificationError, verify

_STAGING: Final = ".pulling"
_FROM: Final = "pulled_from"
_SAME: Final = 0.99


def run(name: str, arguments: argparse.Namespace) -> int:
    """Return 0 where everything is there, 2 where something cannot be had. With `--every`, go on until told to stop."""
    stop = threading.Event()
    if arguments.every is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    return told(name, lambda: _run(arguments, stop))


def _run(arguments: argparse.Namespace, stop: threading.Event) -> int:
    puller = Puller(Registry(arguments.registry), arguments.models, Device(arguments.device), convert_others=arguments.convert)
    references = [reference_of(uri) for uri in arguments.uri]
    if arguments.every is None:
        return _say(puller.pull(references))
    follow(puller, references, arguments.every, stop)
    return 0


def follow(puller: Puller, references: Iterable[Reference], every_seconds: float, stop: threading.Event) -> None:
    """Pull again and again until `stop` is set; what stays wrong is said once."""
    before: list[str] = []
    while not stop.is_set():
        problems = puller.pull(references)
        if problems != before:
            _say(problems)
        before = problems
        stop.wait(every_seconds)


def _say(problems: list[str]) -> int:
    for problem in problems:
        sys.stderr.write(f"driftline runtime pull: {problem}\n")
    sys.stderr.flush()
    return 2 if problems else 0


class Puller:
    """Keeps a directory of models as a registry has them."""

    def __init__(self, registry: Registry, models: Path, device: Device, *, convert_others: bool) -> None:
        """`convert_others` takes flavours other than ONNX too, which runs what their pickles say."""
        self._registry = registry
        self._models = models
        self._device = device
        self._convert_others = convert_others
        self._refused: dict[tuple[str, int], str] = {}
        """Versions that cannot be used, and why: they are never written again, and so not tried again."""

    def pull(self, references: Iterable[Reference]) -> list[str]:
        """Bring the directory up to date; return what is wrong, a line for each model. What cannot be had leaves its model as it was."""
        by_model: dict[str, list[Reference]] = {}
        for reference in references:
            by_model.setdefault(reference.model, []).append(reference)
        return [problem for model, asked in by_model.items() if (problem := self._pull_model(model, asked))]

    def _pull_model(self, model: str, references: list[Reference]) -> str:
        try:
            wanted: dict[int, list[str]] = {}
            for reference in references:
                wanted.setdefault(self._registry.number(reference), []).extend([reference.alias] if reference.alias else [])
            for number, labels in wanted.items():
                if not (self._models / model / str(number)).exists():
                    self._take(model, number, labels)
            for number, labels in wanted.items():
                _label(self._models / model / str(number), labels)
            self._remove_others(model, wanted)
        except (ToolError, OSError) as error:
            return str(error)
        return ""

    def _take(self, model: str, number: int, labels: list[str]) -> None:
        """Put a version there, once it is verified. Raises `ToolError` or OSError."""
        if (model, number) in self._refused:
            raise ToolError(self._refused[model, number])
        staging = self._models / model / _STAGING
        shutil.rmtree(staging, ignore_errors=True)
        staged = staging / model / str(number)
        staged.mkdir(parents=True)
        try:
            artifacts = self._registry.download(model, number, staging / "artifacts")
            self._make(staged, artifacts, f"models:/{model}/{number}", labels)
            verify(Repository(staging).read(model, number), self._device)
            staged.rename(self._models / model / str(number))
        except (UnusableError, ModelError, RepositoryError, VerificationError) as error:
            reason = str(error).replace(str(staged), f"models:/{model}/{number}")
            self._refused[model, number] = f"{model} version {number} is not taken, and what was there stays: {reason}"
            raise ToolError(self._refused[model, number]) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        named = f" ({', '.join(labels)})" if labels else ""
        sys.stdout.write(f"{model} version {number} is there{named}\n")
        sys.stdout.flush()

    def _make(self, staged: Path, artifacts: Path, uri: str, labels: list[str]) -> None:
        """Write what makes a version. Raises UnusableError or OSError."""
        file = onnx_of(artifacts, uri)
        if file is not None:
            copy_onnx(file, staged)
        elif self._convert_others:
            _convert(convertible_of(artifacts, uri), staged / MODEL_FILE)
        else:
            found = ", ".join(flavours_of(artifacts, uri))
            raise UnusableError(f"it has the flavours {found}, and not onnx; --convert converts some others, and runs what their pickles say")
        (staged / REPORT_FILE).write_bytes(msgspec.json.encode({"tool": "pull", _FROM: uri}) + b"\n")
        _label(staged, labels)

    def _remove_others(self, model: str, wanted: Mapping[int, list[str]]) -> None:
        """Remove the versions that were pulled and that nothing means any more. Raises OSError."""
        for directory in sorted((self._models / model).iterdir()):
            if directory.name.isdecimal() and int(directory.name) not in wanted and _was_pulled(directory):
                leaving = directory.with_name(f".leaving-{directory.name}")
                shutil.rmtree(leaving, ignore_errors=True)
                directory.rename(leaving)
                shutil.rmtree(leaving, ignore_errors=True)
                sys.stdout.write(f"{model} version {directory.name} is removed: nothing that was asked for means it now\n")
                sys.stdout.flush()


def _convert(file: Path, onnx: Path) -> None:
    """Convert a model of another library, and hold it against its original. Raises UnusableError."""
    try:
        converted = convert(file)
        held = held_against_original(converted, onnx, None)
    except (ToolError, ModelError) as error:
        raise UnusableError(str(error)) from None
    if held.same_ratio < _SAME:
        raise UnusableError(f"{held.same_ratio:.2%} of {held.rows:,} made-up rows are answered as the original answers them, expected {_SAME:.2%}")


def _was_pulled(directory: Path) -> bool:
    try:
        return _FROM in msgspec.json.decode((directory / REPORT_FILE).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return False


def _label(directory: Path, labels: list[str]) -> None:
    """Give a version that was pulled these labels; its other settings stay, and one that somebody else has made stays as it is. Raises OSError."""
    if not _was_pulled(directory):
        raise ToolError(f"{directory} is there already and was not pulled: move it away, or leave this version out")
    settings = directory / SETTINGS_FILE
    content: Any = (yaml.safe_load(settings.read_bytes()) if settings.exists() else None) or {}
    if content.get("labels", []) != labels:
        written = directory.with_name(f".{directory.name}-{SETTINGS_FILE}")
        written.write_text(yaml.safe_dump({**content, "labels": labels}, sort_keys=False))
        written.rename(settings)
