"""The directory of models, `DIR/MODEL/VERSION/model.onnx`: which versions lie there, how each is to be served, and which bytes it is.

A version is a directory whose name is a whole number. Beside `model.onnx` it may hold `model.yaml` (docs/runtime.md), a file of samples that
`model.yaml` names, and files with the model's weights that `model.onnx` refers to.

Its identity is the SHA-256 of its files but `model.yaml` and `report.json`, written as a UUID of version 8 (RFC 9562 §5.8): the same wherever the same model lies.
Reading never changes the directory; whoever writes a version makes it under another name and renames it, so that it is never seen half-written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from config.load import ConfigError, load_model
from config.model import ModelSettings

MODEL_FILE: Final = "model.onnx"
SETTINGS_FILE: Final = "model.yaml"
REPORT_FILE: Final = "report.json"
"""What the tool that made the version says of it."""

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""As much as every protocol can name in a path."""

Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, size, time of change and inode of each file: what differs where a version was written again."""


class Found(NamedTuple):
    """A version that lies in the repository, as far as its directory tells."""

    model: str
    number: int
    stamp: Stamp


class Version(msgspec.Struct, frozen=True):
    """A version, read but not loaded."""

    model: str
    number: int
    directory: Path
    uuid: UUID
    settings: ModelSettings

    @property
    def file(self) -> Path:
        """The model itself."""
        return self.directory / MODEL_FILE

    @property
    def samples(self) -> Path | None:
        """The file of samples, where there is one."""
        return self.directory / self.settings.samples if self.settings.samples else None


class RepositoryError(Exception):
    """The repository, or a version in it, cannot be read; the text says why."""


class Repository:
    """Reads one directory of models."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def scan(self) -> dict[tuple[str, int], Found]:
        """Return all versions by model and number, without opening a file. Raises RepositoryError where the directory cannot be read."""
        try:
            models = sorted(entry for entry in self.directory.iterdir() if NAME.fullmatch(entry.name) and entry.is_dir())
        except OSError as error:
            raise RepositoryError(f"the directory of models {self.directory} cannot be read: {error.strerror}") from None
        return {(found.model, found.number): found for model in models for found in _versions(model)}

    def read(self, model: str, number: int) -> Version:
        """Return a version with its settings and its identity; this reads all of its files. Raises RepositoryError."""
        directory = self.directory / model / str(number)
        settings = directory / SETTINGS_FILE
        try:
            return Version(model, number, directory, _identity(directory), load_model(settings) if settings.exists() else ModelSettings())
        except ConfigError as error:
            raise RepositoryError(str(error)) from None
        except OSError as error:
            raise RepositoryError(f"{error.filename or directory} cannot be read: {error.strerror}") from None


def _versions(model: Path) -> Iterator[Found]:
    for directory in _entries(model):
        if _NUMBER.fullmatch(directory.name) and (directory / MODEL_FILE).exists():
            yield Found(model.name, int(directory.name), _stamp(directory))


def _entries(directory: Path) -> list[Path]:
    """Return what lies in a directory; nothing where it has gone meanwhile."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _stamp(directory: Path) -> Stamp:
    return tuple(_file_stamp(file) for file in _entries(directory))


def _file_stamp(file: Path) -> tuple[str, int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return file.name, 0, 0, 0
    return file.name, status.st_size, status.st_mtime_ns, status.st_ino


def _identity(directory: Path) -> UUID:
    digest = hashlib.sha256()
    for file in sorted(entry for entry in directory.iterdir() if entry.is_file() and entry.name not in {SETTINGS_FILE, REPORT_FILE}):
        with file.open("rb") as opened:
            digest.update(file.name.encode() + b"\0" + hashlib.file_digest(opened, "sha256").digest())
    return _uuid8(digest.digest())


def _uuid8(digest: bytes) -> UUID:
    """RFC 9562 §5.8: 122 bits of our own, the version and the variant."""
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | 8 << 76
    return UUID(int=number & ~(0b11 << 62) | 0b10 << 62)
