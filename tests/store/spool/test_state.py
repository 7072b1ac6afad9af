import math
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.spool.cursor import Cursor
from store.spool.state import DamagedStateError, LoaderState, add_counts, read_state, write_state

STATE = LoaderState(cursors={"w1": Cursor(2, 128, 17)}, stored={"w1": 15}, dropped={"w1": {"corrupt": 2}}, intent={"w1": (18, 30)})


class Evidence(msgspec.Struct):
    log_evidence: float
    missing: float


@pytest.mark.parametrize("name", ["loader.state", "retired.json"])
@pytest.mark.parametrize("fsync", [False, True])
def test_what_was_written_is_read_back(tmp_path, name, fsync):
    write_state(tmp_path / name, STATE, fsync=fsync)
    assert read_state(tmp_path / name, LoaderState) == STATE
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_there_is_no_state_before_the_first(tmp_path):
    assert read_state(tmp_path / "loader.state", LoaderState) is None


def test_infinity_and_nan_survive(tmp_path):
    write_state(tmp_path / "detectors.state", Evidence(-math.inf, math.nan))
    state = read_state(tmp_path / "detectors.state", Evidence)
    assert state.log_evidence == -math.inf
    assert math.isnan(state.missing)


@pytest.mark.parametrize("name", ["loader.state", "retired.json"])
@pytest.mark.parametrize("damage", ["cut", "change", "empty", "other"])
def test_a_damaged_state_names_its_file_and_what_to_do(tmp_path, name, damage):
    path = tmp_path / name
    write_state(path, STATE)
    content = path.read_bytes()
    changed = content.replace(b"w1", b"w7", 1)
    path.write_bytes({"cut": content[:-3], "change": changed, "empty": b"", "other": b'{"some": "text"}'}[damage])
    with pytest.raises(DamagedStateError, match="move it away") as raised:
        read_state(path, LoaderState)
    assert str(path) in str(raised.value)


@given(st.integers(0), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(tmp_path_factory, position, change):
    path: Path = tmp_path_factory.mktemp("state") / "loader.state"
    write_state(path, STATE)
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= change
    path.write_bytes(content)
    with suppress(DamagedStateError):
        assert read_state(path, LoaderState) == STATE


def test_a_kill_before_the_rename_leaves_the_old_state(tmp_path, monkeypatch):
    path = tmp_path / "loader.state"
    write_state(path, STATE)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_state(path, LoaderState())
    assert read_state(path, LoaderState) == STATE


def test_acknowledging_a_batch_moves_cursors_adds_counts_and_clears_the_intent():
    after = STATE.acknowledging({"w1": Cursor(3, 64, 30), "w2": Cursor(1, 64, 0)}, {"w1": 12}, {"w1": {"corrupt": 1, "poison": 1}})
    assert after.cursors == {"w1": Cursor(3, 64, 30), "w2": Cursor(1, 64, 0)}
    assert after.stored == {"w1": 27, "w2": 0}
    assert after.dropped == {"w1": {"corrupt": 3, "poison": 1}, "w2": {}}
    assert after.intent == {}


def test_a_writer_that_the_reader_no_longer_names_is_forgotten():
    assert STATE.acknowledging({}, {}, {}) == LoaderState()


def test_an_intent_changes_nothing_else():
    assert STATE.intending({"w2": (1, 2)}) == LoaderState(cursors=STATE.cursors, stored=STATE.stored, dropped=STATE.dropped, intent={"w2": (1, 2)})


def test_counts_of_both_sides_are_added():
    assert add_counts({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {"a": 1, "b": 5, "c": 4}
