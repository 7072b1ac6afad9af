"""What a tool's arguments name: the version of a model, and rows for it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from config.load import ConfigError
from config.options import settings_of
from driftline.stored_exchanges import Period
from driftline.tools.file_rows import FileRows
from driftline.tools.row_source import RowSource
from driftline.tools.store_rows import StoreRows
from runtime.repository import Repository, RepositoryError, Version
from runtime.session import ModelError
from runtime.signature import Signature
from runtime.tools.errors import ToolError


def version_asked(arguments: argparse.Namespace) -> Version:
    """Return the version that is named, by default the newest. Raises `ToolError` or `RepositoryError`."""
    repository = Repository(arguments.models)
    numbers = [number for name, number in repository.scan() if name == arguments.model]
    if not numbers:
        raise ToolError(f"{arguments.models} has no model {arguments.model!r}: there is no {arguments.models}/{arguments.model}/VERSION/model.onnx")
    number = arguments.version or max(numbers)
    if number not in numbers:
        raise ToolError(f"{arguments.model} has no version {number}; it has {', '.join(map(str, sorted(numbers)))}")
    return repository.read(arguments.model, number)


def rows_asked(arguments: argparse.Namespace, signature: Signature, *, kept: list[str]) -> RowSource | None:
    """Return where the rows come from; None where neither a file nor the store is named. Raises `ToolError`."""
    if not arguments.from_store and (arguments.since is not None or arguments.until is not None):
        raise ToolError("--since and --until choose a period of the store: give them with --from-store")
    if arguments.from_store and (kept or arguments.exclude):
        raise ToolError("columns can be named of a file, not of the store: give --from instead of --from-store")
    if arguments.rows_file is not None:
        return FileRows(arguments.rows_file, signature, excluded=arguments.exclude, kept=kept)
    if arguments.from_store:
        return StoreRows(settings_of(arguments, routes_needed=False), Period(arguments.model, "", arguments.since, arguments.until), signature)
    return None


def told(name: str, work: Callable[[], int]) -> int:
    """Do the work and return its exit status; 2 with one line where something that was named cannot be used."""
    try:
        return work()
    except (ToolError, ModelError, RepositoryError, ConfigError, OSError) as error:
        sys.stderr.write(f"driftline runtime {name}: {error}\n")
        return 2
