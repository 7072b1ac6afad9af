"""`driftline runtime optimize`, `quantize` and `prune`: change a model, compare the two, accept the new one or not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import numpy as np

from config.choices import Device
from driftline.tools.asked import rows_asked, told, version_asked
from driftline.tools.row_source import Block, RowSource
from runtime.repository import Version
from runtime.session import Array, Session
from runtime.signature import Signature
from runtime.tools.comparison import Comparison, Limits, refusals
from runtime.tools.errors import ToolError
from runtime.tools.measuring import Rows, compare
from runtime.tools.optimize import optimize
from runtime.tools.prune import prune_units, prune_weights
from runtime.tools.publish import publish
from runtime.tools.quantize import halve_precision, quantize_calibrated, quantize_weights
from runtime.tools.report import as_text
from runtime.tools.rows import made_up_inputs

_MADE_UP_ROWS: Final = 1_000
_CALIBRATION_BATCH_ROWS: Final = 32
_DIFFERENCE_WITHOUT_CLASSES: Final = 0.05


def run(name: str, arguments: argparse.Namespace) -> int:
    """Return 0 where the changed model became a version, 1 where it is not accepted, 2 where something that was named cannot be used."""
    return told(name, lambda: _run(name, arguments))


def _run(name: str, arguments: argparse.Namespace) -> int:
    original = version_asked(arguments)
    session = Session(original.file, device=Device(arguments.device))
    rows = _rows(arguments, session.signature)
    with TemporaryDirectory(prefix="driftline-") as directory:
        candidate = Path(directory) / "candidate.onnx"
        rows = _change(name, arguments, session, original.file, candidate, rows)
        comparison = compare(original.file, candidate, rows, device=session.device)
        sys.stdout.write(as_text(comparison))
        if reasons := list(refusals(comparison, _limits(arguments, comparison))):
            sys.stderr.writelines(f"driftline runtime {name}: not accepted: {reason}\n" for reason in reasons)
            return 1
        made = publish(arguments.models, original.model, candidate, _report(name, original, comparison), original=original)
    sys.stdout.write(f"accepted: {made}\n")
    if getattr(arguments, "to", "") == "int8":
        sys.stdout.write(
            "  what a row is answered depends on the rows that are computed with it, so the runtime computes requests one by one; --to int8-static has no such effect\n"
        )
    return 0


def _change(name: str, arguments: argparse.Namespace, session: Session, source: Path, target: Path, rows: Rows) -> Rows:
    """Write the changed model; return the rows on which to compare."""
    if name == "optimize":
        optimize(source, target, device=session.device)
    elif name == "prune":
        (prune_units if arguments.what == "units" else prune_weights)(source, target, arguments.share)
    elif arguments.to == "int8-static":
        return _calibrate(session.signature, source, target, rows)
    else:
        (quantize_weights if arguments.to == "int8" else halve_precision)(source, target)
    return rows


def _calibrate(signature: Signature, source: Path, target: Path, rows: Rows) -> Rows:
    """Quantize by every other row; return the others."""
    if len(rows.inputs[0]) < 2:
        raise ToolError("--to int8-static needs two rows at least: one to calibrate with, one to compare on")
    quantize_calibrated(source, target, _batches(signature, [array[::2] for array in rows.inputs]))
    labels = None if rows.labels is None else rows.labels[1::2]
    return Rows([array[1::2] for array in rows.inputs], labels, f"{rows.described}, every other one (the rest calibrated)")


def _batches(signature: Signature, inputs: list[Array]) -> Iterator[dict[str, Array]]:
    for start in range(0, len(inputs[0]), _CALIBRATION_BATCH_ROWS):
        yield {spec.name: array[start : start + _CALIBRATION_BATCH_ROWS] for spec, array in zip(signature.inputs, inputs, strict=True)}


def _rows(arguments: argparse.Namespace, signature: Signature) -> Rows:
    if arguments.label and not arguments.rows_file:
        raise ToolError("--label names a column of a file: give the file with --from")
    source = rows_asked(arguments, signature, kept=[arguments.label] if arguments.label else [])
    if source is None:
        if getattr(arguments, "to", "") == "int8-static":
            raise ToolError("--to int8-static takes the activations' ranges from rows: give some with --from or --from-store")
        sys.stderr.write("driftline runtime: compared on made-up rows, which say little about yours: give some with --from or --from-store\n")
        return Rows(made_up_inputs(signature, _MADE_UP_ROWS), None, "made up (standard normal)")
    blocks = list(_first_blocks(source, arguments.rows))
    if not blocks:
        raise ToolError(f"{source.described} gives no rows that the model takes: {', '.join(map(str, signature.inputs))}")
    inputs = [np.concatenate(arrays)[: arguments.rows] for arrays in zip(*(block.inputs for block in blocks), strict=True)]
    labels = np.concatenate([block.kept[arguments.label].to_numpy() for block in blocks])[: arguments.rows] if arguments.label else None
    return Rows(inputs, labels, source.described)


def _first_blocks(source: RowSource, rows: int) -> Iterator[Block]:
    for block in source.blocks("", rows):
        if block.rows:
            yield block
            rows -= block.rows
        if rows <= 0:
            return


def _limits(arguments: argparse.Namespace, comparison: Comparison) -> Limits:
    unlimited = arguments.difference is None and comparison.agreement_ratio is None
    return Limits(
        agreement_ratio=arguments.agreement,
        difference_ratio=_DIFFERENCE_WITHOUT_CLASSES if unlimited else arguments.difference,
        metric_loss=arguments.metric_loss,
        slowdown_ratio=arguments.slowdown,
    )


def _report(name: str, original: Version, comparison: Comparison) -> dict[str, Any]:
    made_from = {"model": original.model, "version": original.number, "uuid": str(original.uuid)}
    return {"tool": name, "options": sys.argv[1:], "original": made_from, "comparison": msgspec.to_builtins(comparison)}
