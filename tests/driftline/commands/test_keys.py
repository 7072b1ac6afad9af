"""`driftline keys`: keys are shown once, and the file keeps what it had."""

from __future__ import annotations

import stat
import time

from access.keys import KeyFile, read_keys
from driftline.cli import main
from records.access import AccessRole


def test_a_key_is_made_listed_and_revoked(tmp_path, capsys):
    file = tmp_path / "keys"
    assert main(["keys", "make", "prometheus", "--role", "viewer", "--file", str(file)]) == 0
    key = capsys.readouterr().out.strip()
    assert KeyFile(str(file)).find(key.encode(), time.time()).role is AccessRole.VIEWER
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert main(["keys", "make", "ci", "--role", "operator", "--until", "2099-12-31", "--file", str(file)]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--file", str(file)]) == 0
    assert capsys.readouterr().out == "prometheus viewer\nci operator until 2099-12-31\n"
    assert main(["keys", "revoke", "prometheus", "--file", str(file)]) == 0
    assert KeyFile(str(file)).find(key.encode(), time.time()) is None
    assert list(read_keys(file)) == ["ci"]


def test_a_file_keeps_its_comments_and_its_mode(tmp_path):
    file = tmp_path / "keys"
    file.write_text("# who may do what\n")
    file.chmod(0o640)
    assert main(["keys", "make", "a", "--role", "viewer", "--file", str(file)]) == 0
    assert main(["keys", "revoke", "a", "--file", str(file)]) == 0
    assert file.read_text() == "# who may do what\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_what_cannot_be_done_is_said_and_changes_nothing(tmp_path, capsys):
    file = tmp_path / "keys"
    main(["keys", "make", "a", "--role", "viewer", "--file", str(file)])
    before = file.read_bytes()
    assert main(["keys", "make", "a", "--role", "viewer", "--file", str(file)]) == 2
    assert "there is a key a already; revoke it, or choose another name" in capsys.readouterr().err
    assert main(["keys", "make", "A", "--role", "viewer", "--file", str(file)]) == 2
    assert main(["keys", "revoke", "b", "--file", str(file)]) == 2
    assert main(["keys", "list", "--file", str(tmp_path / "none")]) == 2
    assert main(["keys", "make", "a", "--role", "viewer", "--file", str(tmp_path / "none" / "keys")]) == 2
    assert file.read_bytes() == before
