"""A model that answers `x @ WEIGHTS`, twenty rows for it, and what a run leaves."""

import argparse
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from driftline.commands import runtime
from driftline.scoring import score
from payloads.decoding import decode
from records.exchange import Exchange
from records.payload import Decoded
from store.spool.encryption import Keyring
from store.spool.format import FrameKind
from store.spool.reader import SpoolReader
from tests.runtime.graphs import WEIGHTS, linear
from tests.store.spool.workers import read_all

ROWS = 20


@pytest.fixture
def models(tmp_path):
    linear(tmp_path / "models" / "m" / "1" / "model.onnx")
    return tmp_path / "models"


@pytest.fixture
def rows_file(tmp_path):
    numbers = np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)
    table = pa.table({**{name: numbers[:, place] for place, name in enumerate("abc")}, "id": [f"r{number}" for number in range(ROWS)]})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=6)
    return tmp_path / "rows.parquet"


@pytest.fixture
def run(models, rows_file, tmp_path, monkeypatch):
    """Run `driftline runtime score` over the rows in parts of seven; return its exit status."""
    monkeypatch.setattr(score, "_PART_ROWS", 7)

    def run(*words, source=("--from", rows_file, "--keep", "id")):
        parser = argparse.ArgumentParser()
        runtime.configure(parser)
        given = ["score", "--models", models, "--model", "m", *source, "--out", tmp_path / "out", *words]
        arguments = parser.parse_args([str(word) for word in given])
        return arguments.run(arguments)

    return run


def answers(directory: Path) -> pa.Table:
    """Return the rows of all parts, which are all that lies there."""
    names = sorted(entry.name for entry in directory.iterdir())
    parts = [name for name in names if name.startswith("part-")]
    assert names == [".lock", "job.json", *parts]
    return pa.concat_tables([parquet.read_table(directory / name) for name in parts])


def assert_each_row_answered_once(directory: Path) -> None:
    table = answers(directory)
    assert table.column("row").to_pylist() == list(range(ROWS))
    assert table.column("id").to_pylist() == [f"r{number}" for number in range(ROWS)]
    np.testing.assert_allclose(np.stack(table.column("y").to_numpy()), np.arange(ROWS * 3).reshape(ROWS, 3) @ WEIGHTS, rtol=1e-5)


def recorded(spool: Path, keys: Keyring | None = None) -> list[Exchange]:
    """Return the records that a reader of the spool finds."""
    reader = SpoolReader(spool, {}, keys=keys)
    frames, _, lost = read_all(reader)
    reader.close()
    assert lost == {}
    return [msgspec.msgpack.decode(frame.payload, type=Exchange) for frame in frames if frame.kind == FrameKind.RECORD]


def assert_each_row_recorded_once(spool: Path) -> None:
    seen = Counter()
    for exchange in recorded(spool):
        request, reply = decode(exchange)
        assert isinstance(request, Decoded)
        assert isinstance(reply, Decoded)
        seen.update(request.tensors[0].values[::3])
        x, y = (np.array(side.tensors[0].values).reshape(side.tensors[0].shape) for side in (request, reply))
        np.testing.assert_allclose(y, x @ WEIGHTS, rtol=1e-5)
    assert seen == Counter(float(number) for number in range(0, ROWS * 3, 3))
    assert [entry.name for entry in spool.iterdir() if entry.name.startswith(".")] == []
