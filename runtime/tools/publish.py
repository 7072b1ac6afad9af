"""A new version in the directory of models: it appears there whole, or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from runtime.repository import MODEL_FILE, REPORT_FILE, SETTINGS_FILE, Version

_NOT_INHERITED: Final = ("labels", "samples")
"""A label would move the traffic that asks for it, and samples record what the original answered."""


def publish(models: Path, model: str, file: Path, report: object, *, original: Version | None = None) -> Path:
    """Copy `file` and its report to the next version of `model`; return the version's directory. The settings are the original's.

    Raises OSError.
    """
    directory = models / model
    directory.mkdir(parents=True, exist_ok=True)
    staged = directory / f".new-{os.getpid()}"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        shutil.copyfile(file, staged / MODEL_FILE)
        (staged / REPORT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        if original is not None:
            _inherit_settings(original, staged)
        return _take_number(staged)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _inherit_settings(original: Version, staged: Path) -> None:
    settings = original.directory / SETTINGS_FILE
    content: Any = yaml.safe_load(settings.read_text()) if settings.exists() else None
    inherited = {key: value for key, value in (content or {}).items() if key not in _NOT_INHERITED}
    if inherited:
        (staged / SETTINGS_FILE).write_text(yaml.safe_dump(inherited, sort_keys=False))


def _take_number(staged: Path) -> Path:
    """Rename to the next number; to the one after it where somebody else was quicker."""
    while True:
        numbers = [int(entry.name) for entry in staged.parent.iterdir() if entry.name.isdecimal()]
        target = staged.with_name(str(max(numbers, default=0) + 1))
        try:
            return staged.rename(target)
        except OSError:
            if not target.exists():
                raise
