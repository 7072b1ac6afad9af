import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from driftline.tools import tables
from driftline.tools.file_rows import FileRows, sample_columns
from runtime.signature import Signature, TensorSpec
from runtime.tools.errors import ToolError

TWO = Signature((TensorSpec("x", "FP32", ("n", 2)),), ())


@pytest.fixture(params=["csv", "csv.gz", "parquet"])
def written(request, tmp_path):
    """Write a table in each format."""

    def write(table):
        file = tmp_path / f"rows.{request.param}"
        if request.param == "parquet":
            parquet.write_table(table, file, row_group_size=7)
        elif request.param == "csv":
            csv.write_csv(table, file)
        else:
            with pa.output_stream(file, compression="gzip") as stream:
                csv.write_csv(table, stream)
        return file

    return write


@pytest.mark.parametrize("after", [0, 1, 6, 7, 20, 30])
@pytest.mark.parametrize("rows", [1, 4, 100])
def test_blocks_go_on_behind_any_row(written, after, rows, monkeypatch):
    monkeypatch.setattr(tables, "_CSV_BLOCK_BYTES", 64)
    file = written(pa.table({"a": np.arange(30), "b": np.arange(30) / 2, "id": [f"r{number}" for number in range(30)]}))
    source = FileRows(file, TWO, kept=["id"])
    blocks = list(source.blocks(str(after) if after else "", rows))
    assert [block.rows for block in blocks[:-1]] == [rows] * (len(blocks) - 1)
    if after < 30:
        np.testing.assert_array_equal(np.concatenate([block.inputs[0] for block in blocks]), np.column_stack([np.arange(30), np.arange(30) / 2])[after:])
        assert [name for block in blocks for name in block.kept["id"].to_pylist()] == [f"r{number}" for number in range(after, 30)]
        assert blocks[-1].end == "30"
    else:
        assert blocks == []


def test_numbers_that_only_look_whole_at_the_beginning_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_CSV_BLOCK_BYTES", 64)
    (tmp_path / "r.csv").write_text("a,b\n" + "1,2\n" * 50 + "1.5,\n")
    (block,) = FileRows(tmp_path / "r.csv", TWO).blocks("", 1000)
    np.testing.assert_array_equal(block.inputs[0][-1], np.array([1.5, np.nan], np.float32))


def test_lists_are_axes_and_dictionaries_are_their_values(tmp_path):
    wanted = Signature((TensorSpec("image", "FP32", ("n", 2, 3)), TensorSpec("text", "BYTES", ("n", 1))), ())
    images = pa.array([[[1.0, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]])
    parquet.write_table(pa.table({"image": images, "text": pa.array(["a", "b"]).dictionary_encode()}), tmp_path / "r.parquet")
    (block,) = FileRows(tmp_path / "r.parquet", wanted).blocks("", 10)
    assert block.inputs[0].shape == (2, 2, 3)
    assert block.inputs[1].tolist() == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"x": pa.array([[1.0], [1.0, 2.0]])}, "holds lists of different lengths"),
        ({"x": pa.array([[1.0, 2.0], None])}, "holds lists of different lengths"),
        ({"a": pa.array([1, 2], pa.timestamp("ms")), "b": pa.array([1, 2])}, r"of type timestamp\[ms\], which no model takes"),
        ({"a": pa.array([1, 2]), "b": pa.array(["1", "x"])}, "rows 0 to 1: the model takes x FP32"),
    ],
)
def test_columns_that_no_model_takes_are_named(tmp_path, columns, complaint):
    parquet.write_table(pa.table(columns), tmp_path / "r.parquet")
    with pytest.raises(ToolError, match=complaint):
        list(FileRows(tmp_path / "r.parquet", TWO).blocks("", 10))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("r.csv", b"", "cannot read"),
        ("r.csv", b"a,a\n1,2\n", "two columns are named 'a'"),
        ("r.csv", b"a,b\n1,z\n", "leave out what is no feature with --exclude"),
        ("r.parquet", b"no parquet", "cannot read"),
        ("r.csv.gz", b"no gzip", "cannot read"),
    ],
)
def test_a_file_that_is_no_table_is_told_in_one_line(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ToolError, match=complaint) as refused:
        list(FileRows(tmp_path / name, TWO).blocks("", 10))
    assert "\n" not in str(refused.value)


def test_the_identity_changes_with_the_file_and_the_columns(tmp_path):
    (tmp_path / "r.csv").write_text("a,b,c\n1,2,3\n")
    first = FileRows(tmp_path / "r.csv", TWO, kept=["c"]).identity
    assert FileRows(tmp_path / "r.csv", TWO, kept=["c"]).identity == first
    assert FileRows(tmp_path / "r.csv", TWO, excluded=["c"]).identity != first
    (tmp_path / "r.csv").write_text("a,b,c\n1,2,30\n")
    assert FileRows(tmp_path / "r.csv", TWO, kept=["c"]).identity != first


def test_a_sample_is_the_first_rows_without_what_is_excluded(written):
    file = written(pa.table({"a": np.arange(30), "b": ["x"] * 30}))
    assert list(sample_columns(file, excluded=["b"], rows=5)) == ["a"]
    assert sample_columns(file, excluded=[], rows=5)["b"].tolist() == ["x"] * 5


@given(st.lists(st.integers(0, 20)), st.integers(1, 9), st.integers(0, 60))
def test_however_a_file_is_cut_no_row_is_lost_or_doubled(batches, rows, start):
    numbers = iter(range(1000))
    pieces = [pa.record_batch({"a": [next(numbers) for _ in range(size)]}, pa.schema([("a", pa.int64())])) for size in batches]
    joined = list(tables._joined(tables._behind(iter(pieces), start), rows))
    assert [number for table in joined for number in table.column("a").to_pylist()] == list(range(start, sum(batches)))
    assert all(table.num_rows == rows for table in joined[:-1])
