"""API keys are good for what they were made for, and nothing in the file is worth stealing."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.keys import KeyFile, is_key, make_key, read_keys
from records.access import AccessRole

NOW = 1_800_000_000.0  # 2027-01-15


def write(file: Path, *lines: str) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def test_a_key_is_found_with_its_role_and_no_other_is(tmp_path):
    (key, stored), (other, _) = make_key("prometheus", AccessRole.VIEWER), make_key("prometheus", AccessRole.VIEWER)
    keys = KeyFile(str(write(tmp_path / "keys", "# who reads metrics", stored.line + " # made today", "")))
    assert keys.find(key.encode(), NOW).line == stored.line
    assert keys.find(other.encode(), NOW) is None
    assert keys.find(key.encode()[:-1] + b"!", NOW) is None
    assert keys.find(b"", NOW) is None


def test_the_file_holds_nothing_of_the_secret(tmp_path):
    key, stored = make_key("prometheus", AccessRole.VIEWER)
    secret = key.removeprefix("dl_prometheus_")
    assert len(secret) == 43  # 256 bits
    assert secret not in write(tmp_path / "keys", stored.line).read_text()


def test_a_key_is_good_through_its_last_day_in_utc(tmp_path):
    key, stored = make_key("ci", AccessRole.OPERATOR, date(2027, 1, 14))
    keys = KeyFile(str(write(tmp_path / "keys", stored.line)))
    midnight = 1_799_971_200.0  # 2027-01-15T00:00:00Z
    assert keys.find(key.encode(), midnight - 1).line == stored.line
    assert keys.find(key.encode(), midnight) is None


def test_a_key_that_is_taken_out_of_the_file_is_refused_after_the_next_look(tmp_path):
    (key, stored), (_, other) = make_key("a", AccessRole.VIEWER), make_key("b", AccessRole.VIEWER)
    file = write(tmp_path / "keys", stored.line, other.line)
    keys = KeyFile(str(file))
    write(tmp_path / "new", other.line).replace(file)
    assert keys.find(key.encode(), NOW).line == stored.line
    keys.refresh()
    assert keys.find(key.encode(), NOW) is None


def test_a_changed_file_that_is_of_no_use_leaves_the_old_keys_and_is_said(tmp_path, caplog):
    key, stored = make_key("a", AccessRole.VIEWER)
    file = write(tmp_path / "keys", stored.line)
    keys = KeyFile(str(file))
    file.unlink()
    keys.refresh()
    keys.refresh()
    assert keys.find(key.encode(), NOW).line == stored.line
    assert caplog.text.count("the changed keys are not taken, the old ones stay") == 1


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a viewer"], r"keys:1: expected NAME ROLE sha256:HASH \[LAST-DAY\]"),
        (["a chief sha256:" + "0" * 64], "with a role of client, reporter, viewer, operator, admin"),
        (["a viewer sha256:" + "0" * 63], "expected NAME ROLE"),
        (["A viewer sha256:" + "0" * 64], "expected NAME ROLE"),
        (["a viewer sha256:" + "0" * 64 + " tomorrow"], "keys:1: expected a last day such as 2027-01-31"),
        (["a viewer sha256:" + "0" * 64 + " 2027-01-31 more"], "expected NAME ROLE"),
        (["", "a viewer sha256:" + "0" * 64, "a viewer sha256:" + "1" * 64], "keys:3: expected each name once, found a again"),
    ],
)
def test_a_line_that_is_no_key_is_told_where_it_stands(tmp_path, lines, said):
    with pytest.raises(ValueError, match=said):
        read_keys(write(tmp_path / "keys", *lines))


def test_a_key_written_into_the_file_itself_is_not_repeated(tmp_path):
    key, _ = make_key("a", AccessRole.VIEWER)
    with pytest.raises(ValueError, match="expected NAME ROLE") as caught:
        read_keys(write(tmp_path / "keys", f"a viewer {key}"))
    assert key not in str(caught.value)


def test_a_file_that_is_not_there_is_one_clear_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"No such file or directory; make one with `driftline keys make`"):
        KeyFile(str(tmp_path / "keys"))


def test_a_file_that_everybody_can_write_is_refused(tmp_path):
    file = write(tmp_path / "keys")
    file.chmod(0o666)
    with pytest.raises(ValueError, match="chmod o-w"):
        read_keys(file)


@pytest.mark.parametrize("name", ["", "A", "a_b", "a b", "-a", "a" * 41])
def test_a_name_that_no_key_can_have_is_refused(name):
    with pytest.raises(ValueError, match="expected a name of small letters, digits and -"):
        make_key(name, AccessRole.VIEWER)


@given(st.binary(max_size=100))
def test_what_somebody_shows_never_fails(tmp_path_factory, shown):
    file = tmp_path_factory.getbasetemp() / "some-keys"
    if not file.exists():
        write(file, make_key("a", AccessRole.VIEWER)[1].line)
    assert KeyFile(str(file)).find(shown, NOW) is None
    assert KeyFile(str(file)).find(b"dl_a_" + shown, NOW) is None
    assert not is_key(shown)


def test_how_long_a_refusal_takes_does_not_tell_whether_the_name_is_known(tmp_path):
    (_, stored), (_, other) = make_key("known", AccessRole.VIEWER), make_key("b", AccessRole.VIEWER)
    keys = KeyFile(str(write(tmp_path / "keys", stored.line, other.line)))

    def nanoseconds(name: bytes) -> int:
        key = b"dl_%b_%b" % (name, b"x" * 43)
        best = 1 << 62
        for _ in range(300):
            before = time.perf_counter_ns()
            keys.find(key, NOW)
            best = min(best, time.perf_counter_ns() - before)
        return best

    assert nanoseconds(b"known") < 3 * nanoseconds(b"other")
