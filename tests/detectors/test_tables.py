import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from detectors.tables import TableError, read_table


def csv(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def written(tmp_path, **columns):
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_numbers_and_text_are_told_apart_and_empty_is_missing(tmp_path):
    table = read_table(csv(tmp_path, "a,b,c\n1,x,true\n,,false\n2.5,y,true\n"))
    assert table.rows == 3
    np.testing.assert_equal(table.columns["a"], [1.0, np.nan, 2.5])
    assert table.columns["b"].tolist() == ["x", None, "y"]
    assert table.columns["c"].tolist() == [1.0, 0.0, 1.0]


def test_parquet_columns_of_every_kind_are_read(tmp_path):
    path = written(
        tmp_path,
        i=pa.array([1, None, 3], pa.int32()),
        d=pa.array(["a", "b", None]).dictionary_encode(),
        f=pa.array([0.5, None, 1.5], pa.float32()),
        n=pa.nulls(3),
        when=pa.array([1, 2, 3], pa.timestamp("us")),
        many=pa.array([[1, 4], [2, None], [3]]),
        raw=pa.array([b"1", b"2", b"3"]),
    )
    table = read_table(path)
    np.testing.assert_equal(table.columns["i"], [1.0, np.nan, 3.0])
    assert table.columns["d"].tolist() == ["a", "b", None]
    np.testing.assert_equal(table.columns["f"], [0.5, np.nan, 1.5])
    assert np.isnan(table.columns["n"]).all()
    np.testing.assert_equal(table.columns["many[0]"], [1.0, 2.0, np.nan])
    np.testing.assert_equal(table.columns["many[1]"], [4.0, np.nan, np.nan])
    assert table.columns["when"].tolist() == [1_000, 2_000, 3_000]
    assert table.columns["when"].dtype == "datetime64[ns]"
    assert table.left_out == {"raw": "binary"}


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 200), pa.large_list(pa.float64())], ids=str)
def test_long_lists_of_numbers_are_vectors(tmp_path, kind):
    vectors = np.random.default_rng(0).normal(size=(4, 200)).astype(np.float32)
    rows = [*vectors.tolist(), None] if kind == pa.list_(pa.float64(), 200) else [*vectors.tolist(), None, [1.0] * 64]
    columns = read_table(written(tmp_path, e=pa.array(rows, kind))).columns
    np.testing.assert_array_equal(columns["e"][:4], vectors)
    assert np.isnan(columns["e"][4:]).all()
    np.testing.assert_array_equal(columns["e.dimension"], [200] * 4 + [np.nan, 64][: len(rows) - 4])


def test_columns_are_left_out_by_name_and_kept_in_the_kind_that_is_known(tmp_path):
    table = read_table(csv(tmp_path, "id,code,x\n7,01,1\n8,02,2\n"), excluded=["id"], levels=["code"], numbers=["x"])
    assert list(table.columns) == ["code", "x"]
    assert table.columns["code"].tolist() == ["01", "02"]


@pytest.mark.parametrize("times", ["1700000000\n1700000060.5", "2023-11-14T22:13:20Z\n2023-11-14T22:14:20.5Z", "2023-11-14 22:13:20\n2023-11-14 22:14:20.5"])
def test_times_are_read_from_seconds_and_from_text(tmp_path, times):
    rows = "\n".join(f"{time},1" for time in times.split("\n"))
    table = read_table(csv(tmp_path, f"at,x\n{rows}\n"), time_column="at")
    assert table.times_ns.tolist() == [1_700_000_000_000_000_000, 1_700_000_060_500_000_000]
    assert list(table.columns) == ["x"]


def test_times_of_parquet_are_read_in_any_unit(tmp_path):
    path = written(tmp_path, at=pa.array([dt.date(1970, 1, 2)], pa.date32()), x=[1.0])
    assert read_table(path, time_column="at").times_ns.tolist() == [86_400 * 10**9]


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("", {}, "cannot read the table .*t.csv: "),
        ("a,b\n1\n", {}, "cannot read the table .*t.csv: "),
        ("a,a\n1,2\n", {}, "two columns are named 'a'"),
        ("a\n1\n", {"excluded": ["z"]}, "there is no column 'z'; its columns are a"),
        ("a\n1\n", {"time_column": "z"}, "there is no column 'z'"),
        ("a\nx\n", {"time_column": "a"}, "expected timestamps"),
        ("a,b\n1,1\n,1\n", {"time_column": "a"}, "lacks 1 of its values"),
        ("a\nx\n", {"numbers": ["a"]}, "t.csv: .*'x'"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_file_and_the_reason(tmp_path, text, options, complaint):
    with pytest.raises(TableError, match=complaint):
        read_table(csv(tmp_path, text), **options)


def test_text_in_a_column_of_numbers_of_parquet_is_refused(tmp_path):
    with pytest.raises(TableError, match=r"'a' holds numbers in the baseline, but here: .*'x'"):
        read_table(written(tmp_path, a=["1", "x"]), numbers=["a"])
    assert read_table(written(tmp_path, a=["1", "2"]), numbers=["a"]).columns["a"].tolist() == [1.0, 2.0]


def test_files_that_are_absent_or_of_no_known_format_are_refused(tmp_path):
    with pytest.raises(TableError, match=r"cannot read the table .*absent\.csv"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(TableError, match=r"expected a file named \*\.csv"):
        read_table(csv(tmp_path, "a\n1\n", "t.xlsx"))
    with pytest.raises(TableError, match="cannot read the table"):
        read_table(csv(tmp_path, "no parquet", "t.parquet"))
