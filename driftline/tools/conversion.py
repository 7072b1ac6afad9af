"""`driftline runtime convert`: a model of another library becomes the next version of an ONNX model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from driftline.tools.asked import told
from driftline.tools.file_rows import sample_columns
from runtime.session import Array, Session
from runtime.signature import Signature
from runtime.tools.convert import Columns, Converted, convert, same_ratio
from runtime.tools.publish import publish
from runtime.tools.rows import inputs_of, made_up_inputs

_ROWS: Final = 1_000
_TOLERANCE_RATIO: Final = 1e-3
"""ONNX computes in 32 bits where the original may compute in 64."""


def run(name: str, arguments: argparse.Namespace) -> int:
    """Return 0 where the model became a version, 1 where it answers otherwise than the original, 2 where it cannot be converted."""
    return told(name, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    example = sample_columns(arguments.rows_file, excluded=arguments.exclude, rows=_ROWS) if arguments.rows_file else None
    converted = convert(arguments.file, row_shape=arguments.shape, example=example)
    with TemporaryDirectory(prefix="driftline-") as directory:
        file = Path(directory) / "model.onnx"
        signature, number, same = held_against_original(converted, file, example)
        rows = f"{number:,} rows {f'of {arguments.rows_file.name}' if arguments.rows_file else 'that were made up (standard normal)'}"
        sys.stdout.write(f"{signature}\n{same:.2%} of {rows} are answered as {arguments.file.name} answers them\n")
        if same < arguments.same:
            sys.stderr.write(f"driftline runtime convert: not accepted: {same:.2%} of the rows are answered alike (at least {arguments.same:.2%}: --same)\n")
            return 1
        report = {"tool": "convert", "options": sys.argv[1:], "file": arguments.file.name, "rows": rows, "same_ratio": same}
        made = publish(arguments.models, arguments.model, file, report)
    sys.stdout.write(f"accepted: {made}\n")
    return 0


class Held(NamedTuple):
    """How a converted model compares with its original."""

    signature: Signature
    rows: int
    same_ratio: float
    """Share of the rows that are answered alike."""


def held_against_original(converted: Converted, file: Path, example: Columns | None) -> Held:
    """Write the converted model to `file`, and ask both the same rows, made up where there is no example. Raises `ToolError` or ModelError."""
    file.write_bytes(converted.onnx.SerializeToString())
    session = Session(file)
    inputs = _inputs(session.signature, example)
    same = same_ratio(session.run(inputs), converted.reference(inputs), tolerance_ratio=_TOLERANCE_RATIO)
    return Held(session.signature, len(inputs[0]), same)


def _inputs(signature: Signature, example: Columns | None) -> list[Array]:
    return made_up_inputs(signature, _ROWS) if example is None else inputs_of(signature, example)
