import json
import stat
from multiprocessing import get_context
from pathlib import Path

import pytest

from records.audit import AuditEntry, user_name
from store import audit
from store.audit import AUDIT_NAME, AuditLog, AuditReader


def whats(entries: list[AuditEntry]) -> list[str]:
    return [entry.what for entry in entries]


def test_an_entry_is_a_line_of_json_that_only_its_owner_can_read(tmp_path: Path) -> None:
    AuditLog(tmp_path)("ada", "sql", "SELECT 1\nFROM exchanges")
    (line,) = (tmp_path / AUDIT_NAME).read_text().splitlines()
    entry = json.loads(line)
    assert (entry["who"], entry["action"], entry["what"]) == ("ada", "sql", "SELECT 1\nFROM exchanges")
    assert entry["at"].startswith("20")
    assert entry["at"].endswith("Z")
    assert stat.S_IMODE((tmp_path / AUDIT_NAME).stat().st_mode) == 0o600


def test_a_long_entry_is_cut(tmp_path: Path) -> None:
    AuditLog(tmp_path)("ada", "sql", "x" * 10_000)
    assert whats(AuditReader(tmp_path).read().entries) == ["x" * 4_000 + "…"]


def write_some(directory: Path, who: str) -> None:
    for number in range(200):
        AuditLog(directory)(who, "sql", f"{who} {number}")


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    processes = [get_context("spawn").Process(target=write_some, args=(tmp_path, who)) for who in ("ada", "bob")]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = whats(AuditReader(tmp_path).read().entries)
    assert sorted(found) == sorted(f"{who} {number}" for who in ("ada", "bob") for number in range(200))


def test_what_was_not_taken_comes_again_and_what_was_does_not(tmp_path: Path) -> None:
    log, reader = AuditLog(tmp_path), AuditReader(tmp_path)
    assert reader.read().entries == []
    log("ada", "sql", "1")
    assert whats(reader.read().entries) == ["1"]
    found = reader.read()
    assert whats(found.entries) == ["1"]
    log("ada", "sql", "2")
    reader.taken(found)
    assert whats(reader.read().entries) == ["2"]
    reader.close()


def test_a_grown_file_is_set_aside_and_its_reader_goes_on_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "FILE_BYTES", 500)
    monkeypatch.setattr(audit, "SET_ASIDE_AT_MOST", 3)
    log, reader = AuditLog(tmp_path), AuditReader(tmp_path)
    seen: list[str] = []
    for number in range(50):
        log("ada", "sql", str(number))
        found = reader.read()
        seen += whats(found.entries)
        reader.taken(found)
    assert seen == [str(number) for number in range(50)]
    assert len(list(tmp_path.glob("audit-*.jsonl"))) == 3
    reader.close()


def test_what_is_no_entry_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / AUDIT_NAME).write_text("junk\n[]\n")
    AuditLog(tmp_path)("ada", "sql", "1")
    reader = AuditReader(tmp_path)
    assert whats(reader.read().entries) == ["1"]
    reader.close()


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / AUDIT_NAME).write_text('{"at": "2026", "who": "a"')
    reader = AuditReader(tmp_path)
    found = reader.read()
    assert (found.entries, found.offset) == ([], 0)
    reader.close()


def test_where_nothing_can_be_written_it_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        AuditLog(tmp_path / "absent")("ada", "sql", "1")


def test_users_have_names_or_numbers() -> None:
    assert user_name(0) == "root"
    assert user_name(4_000_000_000) == "uid 4000000000"
