"""What a version must show before it takes traffic, and what is learned of it on the way.

- It loads, and its outputs have the datatypes and shapes that it declares.
- Recorded samples give finite outputs that equal the recorded ones.
- Rows computed together give what they give alone; where they do not, its requests are never put together.
- How long batches take: without it nothing could be decided for the first request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from config.choices import Device
from runtime.inference import Inference, Shape
from runtime.latency import LatencyModel
from runtime.open_inference import read_samples
from runtime.packing import Content
from runtime.refusal import Refused
from runtime.repository import Version
from runtime.session import Array, ModelError, Session, device_bytes, threads_for
from runtime.signature import FLOATS, TensorSpec
from runtime.stacking import array_of

_log = logging.getLogger(__name__)

_RUNS: Final = 3
_MAX_SAMPLES: Final = 1000
_MADE_UP_LENGTH: Final = 2
_TOGETHER: Final = 3
_SEED: Final = 20_26
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4
"""How far rows may differ that are computed in batches of different sizes: other kernels add in another order."""


class Verified(NamedTuple):
    """A version that may take traffic."""

    session: Session
    latency: LatencyModel
    stackable: bool
    device_bytes: int | None
    """Memory on the CUDA device that loading it and its first runs, the largest batch among them, took; None on the CPU. What others took meanwhile counts too."""


class VerificationError(Exception):
    """A version may not take traffic; the text says why."""


def verify(version: Version, device: Device) -> Verified:
    """Load a version and hold it to what it declares. Blocking. Raises ModelError or VerificationError."""
    settings = version.settings
    taken_before = device_bytes(device)
    threads = settings.instances.threads or threads_for(settings.instances.maximum)
    session = Session(version.file, device=device, threads=threads, outputs=settings.outputs)
    latency = LatencyModel()
    samples = _samples(version, session)
    for number, (inputs, recorded) in enumerate(samples, start=1):
        _require_recorded(f"sample {number}", _computed(session, inputs, latency), recorded, session, float(settings.tolerance))
    inputs = samples[0][0] if samples else [_made_up(spec) for spec in session.signature.inputs]
    try:
        stackable = session.signature.has_rows and settings.batching.max_rows > 1 and _is_stackable(session, inputs, latency)
        _warm_up(session, inputs, latency, settings.batching.max_rows if stackable else 1)
    except ModelError as error:
        if samples:
            raise
        _log.warning("%s version %d cannot be tried without samples, as it fails on made-up inputs: %s", version.model, version.number, error)
        latency.observe(1, 1.0)  # as long as nothing is known, not on the event loop
        stackable = False
    taken = device_bytes(device)
    return Verified(session, latency, stackable, None if taken is None or taken_before is None else max(0, taken - taken_before))


_Sample = tuple[list[Array], dict[str, tuple[Shape, Content]]]


def _samples(version: Version, session: Session) -> list[_Sample]:
    file = version.samples
    if file is None:
        return []
    try:
        recorded = read_samples(file.read_bytes(), session.signature)
    except OSError as error:
        raise VerificationError(f"{file} cannot be read: {error.strerror}") from None
    except Refused as refused:
        raise VerificationError(f"{file}: {refused.text}") from None
    if not 0 < len(recorded) <= _MAX_SAMPLES:
        raise VerificationError(f"{file}: expected 1 to {_MAX_SAMPLES} samples, found {len(recorded)}")
    return [(_arrays(inference, session), outputs) for inference, outputs in recorded]


def _arrays(inference: Inference, session: Session) -> list[Array]:
    return [array_of(*tensor) for tensor in zip(inference.contents, inference.shapes, session.signature.inputs, strict=True)]


def _computed(session: Session, inputs: Sequence[Array], latency: LatencyModel) -> list[Array]:
    """Return the outputs, once they are as the model declares them."""
    session.run(inputs)  # the first run of a shape plans its memory
    began = time.perf_counter()
    outputs = session.run(inputs)
    latency.observe(len(inputs[0]) if session.signature.has_rows else 1, time.perf_counter() - began)
    for output, spec in zip(outputs, session.signature.outputs, strict=True):
        if output.dtype != spec.dtype or not spec.admits(output.shape):
            raise VerificationError(
                f"output {spec.name}: expected {spec.datatype}{spec.sizes}, as the model declares, found {output.dtype}{list(output.shape)}"
            )
    return outputs


def _require_recorded(which: str, outputs: list[Array], recorded: dict[str, tuple[Shape, Content]], session: Session, tolerance: float) -> None:
    for output, spec in zip(outputs, session.signature.outputs, strict=True):
        if spec.datatype in FLOATS and not np.isfinite(output).all():
            raise VerificationError(f"{which}: expected finite values of {spec.name}, found {output[~np.isfinite(output)][0]}")
        if spec.name in recorded:
            _require_equal(f"{which}: {spec.name}", output, _recorded_array(recorded[spec.name], spec), tolerance)


def _recorded_array(recorded: tuple[Shape, Content], spec: TensorSpec) -> Array:
    shape, content = recorded
    return array_of(content, shape, spec)


def _require_equal(which: str, found: Array, expected: Array, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise VerificationError(f"{which}: expected shape {list(expected.shape)}, as recorded, found {list(found.shape)}")
    differs = found != expected
    if found.dtype.kind == "f":
        differs = np.abs(found - expected) > tolerance * np.maximum(np.abs(expected), 1.0)
    if differs.any():
        where = tuple(int(index) for index in np.argwhere(differs)[0])
        raise VerificationError(f"{which}: expected {expected[where]} at {list(where)}, as recorded, found {found[where]}; the tolerance is {tolerance:g}")


def _is_stackable(session: Session, inputs: Sequence[Array], latency: LatencyModel) -> bool:
    """Whether different rows give together what each gives alone."""
    rows = [_varied(inputs, number) for number in range(_TOGETHER)]
    alone = [_computed(session, row, latency) for row in rows]
    together = _computed(session, [np.concatenate(arrays) for arrays in zip(*rows, strict=True)], latency)
    for number, output in enumerate(together):
        parts = [outputs[number] for outputs in alone]
        if any(part.ndim == 0 for part in parts) or not _alike(output, np.concatenate(parts)):
            return False
    return True


def _alike(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    return bool(np.allclose(one, other, _RELATIVE, _ABSOLUTE, equal_nan=True)) if one.dtype.kind == "f" else bool((one == other).all())


def _warm_up(session: Session, inputs: Sequence[Array], latency: LatencyModel, max_rows: int) -> None:
    row = _varied(inputs, 0) if session.signature.has_rows else list(inputs)
    for rows in sorted({1, max_rows}):
        many = [np.concatenate([array] * rows) for array in row] if rows > 1 else row
        for _ in range(_RUNS):
            _computed(session, many, latency)


def _varied(inputs: Sequence[Array], number: int) -> list[Array]:
    """Return one row, like the first one of `inputs` but for noise in its floats."""
    noise = np.random.default_rng(_SEED + number)
    return [array[:1] + noise.normal(size=array[:1].shape).astype(array.dtype) if array.dtype.kind == "f" else array[:1] for array in inputs]


def _made_up(spec: TensorSpec) -> Array:
    """Return one row of zeros, or empty texts."""
    shape = tuple(length if isinstance(length, int) else 1 if axis == 0 else _MADE_UP_LENGTH for axis, length in enumerate(spec.shape))
    return np.full(shape, "", np.object_) if spec.datatype == "BYTES" else np.zeros(shape, spec.dtype)
