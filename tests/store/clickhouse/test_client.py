from __future__ import annotations

import subprocess
import sys
from base64 import b64encode

import pytest

from config.addresses import Endpoint
from config.settings import StoreSettings
from store.clickhouse.client import FAILURES, EmbeddedStore, ServerStore, one_line, open_store
from store.clickhouse.schema import TABLES
from store.owner import HeldError

HOLD = "import pathlib, sys; from store.clickhouse.client import EmbeddedStore; s = EmbeddedStore(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_the_embedded_store_has_one_owner_who_is_named(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        owner.stdout.readline()
        with pytest.raises(HeldError, match=rf"held by another process \(process {owner.pid}: .*\): stop that one, or use another --data-dir"):
            EmbeddedStore(tmp_path)
        owner.kill()
    EmbeddedStore(tmp_path).close()


def test_an_owner_that_cannot_be_named_is_still_an_owner(tmp_path):
    store = EmbeddedStore(tmp_path)
    (tmp_path / "store.lock").write_text("not a number")
    with pytest.raises(HeldError, match="held by another process: stop"):
        EmbeddedStore(tmp_path)
    store.close()


def test_a_data_directory_that_cannot_be_made_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        open_store(tmp_path / "file" / "data")


def test_what_is_made_for_the_store_is_for_its_owner_alone(tmp_path):
    EmbeddedStore(tmp_path / "new" / "data").close()
    assert [(tmp_path / made).stat().st_mode & 0o777 for made in ("new", "new/data")] == [0o700, 0o700]


def test_the_engine_is_imported_before_threads_can_notice_that_it_changes_the_working_directory(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from store.clickhouse.client import EmbeddedStore; assert 'chdb' not in sys.modules;"
        "store = EmbeddedStore(Path('data')); assert 'chdb' in sys.modules; os.chdir('/'); store.client(); assert not Path('data').exists()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "data" / "store").is_dir()


def test_clients_do_not_share_settings(store):
    first, second = store.client(), store.client()
    first.set_client_setting("max_threads", 1)
    first.set_client_setting("readonly", 1)
    second.command("INSERT INTO alerts (name) VALUES ('x')")
    assert first.command("SELECT count() FROM alerts") == 1


def test_closing_the_store_closes_its_clients_so_that_another_can_be_opened(tmp_path):
    for name in ("a", "b"):
        store = EmbeddedStore(tmp_path / name)
        store.client()
        store.close()


def test_inserts_are_acknowledged_when_stored(store):
    assert store.client().command("SELECT getSetting('async_insert')") == "false"


def test_the_server_s_database_is_the_path_of_its_url(server):
    store = ServerStore(Endpoint.parse(f"{server.url}/watching"))
    client = store.client()
    assert client.command("SELECT currentDatabase()") == "watching"
    assert {name for (name,) in client.query("SHOW TABLES").result_rows} == TABLES
    store.close()


def test_a_server_that_is_down_is_found_out_when_a_client_is_asked_for(server):
    store = open_store(None, StoreSettings(clickhouse=Endpoint.parse(server.url)))
    server.close()
    with pytest.raises(FAILURES):
        store.client()


def test_a_password_is_read_from_its_file_for_each_connection(server, tmp_path):
    file = tmp_path / "clickhouse"
    settings = StoreSettings(clickhouse=Endpoint.parse(server.url.replace("//", "//driftline@")), password=str(file))
    store = open_store(None, settings)
    with pytest.raises(FAILURES, match=r"clickhouse: expected ClickHouse's password \(store\.password\), found: .*No such file"):
        store.client()
    for password in ("first", "second"):
        file.write_text(f"{password}\n")
        server.logins.clear()
        store.client().close()
        assert server.logins == {"Basic " + b64encode(f"driftline:{password}".encode()).decode()}
    store.close()


def test_a_message_names_the_engine_s_code_once_in_one_short_line() -> None:
    told = one_line(ValueError("Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format\nNope. " + "x" * 1_000))
    assert told.startswith("Code: 73. DB::Exception: Unknown format Nope. x")
    assert len(told) == 500
