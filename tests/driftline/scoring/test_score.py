import os
import shutil
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from driftline.scoring import recording
from records.exchange import Role
from store.spool.counts import take_stock
from store.spool.encryption import Keyring
from store.spool.format import segment_name
from store.spool.state import LoaderState
from tests.driftline.scoring.conftest import answers, assert_each_row_answered_once, assert_each_row_recorded_once, recorded
from tests.runtime.graphs import linear


def test_every_row_of_a_file_is_answered_beside_what_is_kept(run, tmp_path, capsys):
    assert run() == 0
    assert_each_row_answered_once(tmp_path / "out")
    assert answers(tmp_path / "out").column_names == ["row", "id", "y"]
    assert "20 rows in 3 parts; 20 of them now" in capsys.readouterr().out


def test_a_csv_file_gives_the_same_answers(run, rows_file, tmp_path):
    csv.write_csv(parquet.read_table(rows_file), tmp_path / "rows.csv")
    assert run(source=("--from", tmp_path / "rows.csv", "--keep", "id")) == 0
    assert_each_row_answered_once(tmp_path / "out")


def test_the_same_command_again_does_nothing_more(run, tmp_path, capsys):
    assert run() == 0
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("part-*")}
    assert run() == 0
    assert "20 rows in 3 parts; 0 of them now" in capsys.readouterr().out
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("part-*")} == before


def test_a_part_that_is_gone_at_the_end_is_made_again(run, tmp_path):
    assert run() == 0
    (tmp_path / "out" / "part-00000002.parquet").unlink()
    assert run() == 0
    assert_each_row_answered_once(tmp_path / "out")


def test_another_model_or_other_rows_do_not_mix_in(run, models, rows_file, tmp_path, capsys):
    assert run() == 0
    linear(models / "m" / "2" / "model.onnx", scale=2)
    assert run() == 2
    assert "holds the answers of another job (other version, uuid)" in capsys.readouterr().err
    assert run("--version", "1") == 0
    parquet.write_table(parquet.read_table(rows_file).slice(1), rows_file)
    assert run("--version", "1") == 2
    assert "(other rows)" in capsys.readouterr().err
    assert_each_row_answered_once(tmp_path / "out")


def test_a_directory_with_something_else_in_it_is_left_alone(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    assert run() == 2
    assert "is not empty (thesis.tex)" in capsys.readouterr().err


def test_two_processes_do_not_work_in_one_directory(run, models, rows_file, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    holder = "import sys, time; from store.owner import take_lock; from pathlib import Path; take_lock(Path(sys.argv[1]), 'x', 'y'); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holder, str(tmp_path / "out" / ".lock")], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert run() == 2
        other.kill()
    assert "is held by another process" in capsys.readouterr().err
    assert run() == 0


def test_recorded_answers_look_like_served_traffic_and_are_counted(run, tmp_path):
    assert run("--record", "--data-dir", tmp_path / "data") == 0
    assert_each_row_recorded_once(tmp_path / "data" / "spool")
    exchanges = recorded(tmp_path / "data" / "spool")
    assert {(exchange.role, exchange.model, exchange.version, exchange.status, exchange.path) for exchange in exchanges} == {
        (Role.SERVED, "m", "1", 200, "/v2/models/m/versions/1/infer")
    }
    assert len({exchange.exchange_id for exchange in exchanges}) == len(exchanges) == 3
    assert take_stock(tmp_path / "data" / "spool", LoaderState()).counts.captured == 3


def test_what_a_route_does_not_let_be_kept_is_not_recorded(run, tmp_path):
    settings = {"data_dir": str(tmp_path / "data"), "routes": [{"name": "r", "upstream": "http://127.0.0.1:9", "model": "m", "capture": "response"}]}
    (tmp_path / "driftline.yaml").write_bytes(msgspec.yaml.encode(settings))
    assert run("--record", "--config", tmp_path / "driftline.yaml") == 0
    exchanges = recorded(tmp_path / "data" / "spool")
    assert {(exchange.route, exchange.request.content, bool(exchange.response.content)) for exchange in exchanges} == {("r", b"", True)}
    assert_each_row_answered_once(tmp_path / "out")


def test_a_request_is_no_longer_than_what_the_settings_keep_of_a_body(run, tmp_path):
    settings = {"data_dir": str(tmp_path / "data"), "proxy": {"capture": "250"}}
    (tmp_path / "driftline.yaml").write_bytes(msgspec.yaml.encode(settings))
    assert run("--record", "--config", tmp_path / "driftline.yaml") == 0
    exchanges = recorded(tmp_path / "data" / "spool")
    assert len(exchanges) > 3
    assert not any(exchange.request.truncated or exchange.response.truncated for exchange in exchanges)
    assert_each_row_recorded_once(tmp_path / "data" / "spool")


def test_what_is_recorded_is_encrypted_where_the_spool_is(run, tmp_path, capsys):
    secret = tmp_path / "spool.key"
    settings = {"data_dir": str(tmp_path / "data"), "spool": {"keys": f"k=file:{secret}"}}
    (tmp_path / "driftline.yaml").write_bytes(msgspec.yaml.encode(settings))
    assert run("--record", "--config", tmp_path / "driftline.yaml") == 2
    assert "spool.key" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    secret.write_bytes(bytes(range(32)))
    assert run("--record", "--config", tmp_path / "driftline.yaml") == 0
    segments = b"".join(file.read_bytes() for file in (tmp_path / "data" / "spool").rglob("*.segment"))
    assert segments
    assert b"infer" not in segments
    assert len(recorded(tmp_path / "data" / "spool", Keyring([("k", bytes(range(32)))]))) == 3


def test_a_full_spool_stops_it_and_room_lets_it_go_on(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(recording, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(recording, "_RETRY_SECONDS", 0)
    settings = {"data_dir": str(tmp_path / "data"), "spool": {"max_size": "512 KiB", "segment_size": "256 KiB"}, "proxy": {"capture": "4 KiB"}}
    (tmp_path / "driftline.yaml").write_bytes(msgspec.yaml.encode(settings))
    full = tmp_path / "data" / "spool" / "another-writer"
    full.mkdir(parents=True)
    (full / segment_name(1)).write_bytes(bytes(520_000))
    assert run("--record", "--config", tmp_path / "driftline.yaml") == 1
    shutil.rmtree(full)
    assert run("--record", "--config", tmp_path / "driftline.yaml") == 0
    assert "has no room for the next part, and nobody empties it: start `driftline monitor`" in capsys.readouterr().err
    assert_each_row_answered_once(tmp_path / "out")
    assert_each_row_recorded_once(tmp_path / "data" / "spool")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--keep", "zip"), "there is no column 'zip'"),
        (("--config", "absent.yaml"), "absent.yaml"),
        (("--version", "3"), "m has no version 3"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line_and_begins_nothing(run, tmp_path, capsys, words, complaint):
    assert run(*words) == 2
    told = capsys.readouterr()
    assert complaint in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_an_output_too_is_refused(run, rows_file, tmp_path, capsys):
    parquet.write_table(parquet.read_table(rows_file).rename_columns(["a", "b", "c", "y"]), rows_file)
    assert run(source=("--from", rows_file, "--keep", "y")) == 2
    assert "'y' has the name of one of the model's outputs" in capsys.readouterr().err


def test_rows_that_do_not_fit_stop_it_with_their_numbers(run, tmp_path, capsys):
    table = pa.table({"x": pa.array([[1.0, 2, 3]] * 10 + [[1.0, 2]] * 4)})
    parquet.write_table(table, tmp_path / "odd.parquet")
    assert run(source=("--from", tmp_path / "odd.parquet")) == 2
    assert "rows 7 to 13: the column 'x' holds lists of different lengths" in capsys.readouterr().err
    assert len(answers(tmp_path / "out")) == 7


def test_an_interrupt_says_how_to_go_on(models, tmp_path):
    numbers = np.zeros((3_000_000, 3), np.float32)
    parquet.write_table(pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), 3)}), tmp_path / "rows.parquet")
    words = ["--models", models, "--model", "m", "--from", tmp_path / "rows.parquet", "--out", tmp_path / "out"]
    command = [sys.executable, "-m", "driftline", "runtime", "score", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "out").glob("part-*")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "driftline runtime score: interrupted; the same command goes on with the next part\n"
