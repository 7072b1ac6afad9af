"""`driftline export`."""

import pyarrow as pa
import pytest
from pyarrow import parquet

from driftline.cli import main
from driftline.stored_exchanges import exported_exchanges
from records.exchange import Body, Role


def export(directory, out, *options):
    return main(["export", "--data-dir", str(directory), "--model", "m", "--out", str(out), *options])


def test_what_was_exported_is_what_was_stored(data_directory, stored_exchange, tmp_path, capfd):
    exchanges = [stored_exchange(number, model="m") for number in range(700)]
    exchanges[5] = stored_exchange(5, model="m", role=Role.SHADOW, arm="shadow-1", response=Body(b"\xff", 1))
    out = tmp_path / "m.parquet"
    assert export(data_directory(exchanges), out) == 0
    assert capfd.readouterr().out == f"{out}: 700 exchanges of m\n"
    assert [stored.exchange for stored in exported_exchanges(out)] == exchanges
    assert list(tmp_path.glob("*.new")) == []


def test_the_file_is_a_table_for_others(data_directory, stored_exchange, tmp_path):
    out = tmp_path / "m.parquet"
    export(data_directory([stored_exchange(1)]), out)
    schema = parquet.read_schema(out)
    assert (str(schema.field("started_at").type), str(schema.field("request_body").type)) == ("timestamp[ns, tz=UTC]", "binary")


def test_a_period_without_traffic_leaves_a_former_file_as_it_was(data_directory, stored_exchange, tmp_path, capfd):
    out = tmp_path / "m.parquet"
    out.write_bytes(b"former")
    assert export(data_directory([stored_exchange(1)]), out, "--until", "2020-01-01") == 1
    assert "no traffic of the model 'm'" in capfd.readouterr().err
    assert out.read_bytes() == b"former"


@pytest.mark.parametrize("content", [b"nonsense", None])
def test_a_file_that_was_not_exported_is_one_clear_sentence(tmp_path, content, capfd):
    file = tmp_path / "x.parquet"
    if content is None:
        parquet.write_table(pa.table({"a": [1]}), file)
    else:
        file.write_bytes(content)
    assert main(["replay", "--from", str(file), "--to", "http://127.0.0.1:9"]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "Parquet" in err or "driftline export" in err
