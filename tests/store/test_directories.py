from __future__ import annotations

import pytest

from store.directories import make_empty, make_private


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_directory_and_those_above_it_that_are_missing_are_for_their_owner_alone(tmp_path):
    tmp_path.chmod(0o755)
    make_private(tmp_path / "a" / "b")
    make_private(tmp_path / "a" / "b")
    assert [mode(path) for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o700, 0o700]


def test_a_file_in_the_way_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_private(tmp_path / "file")


def test_what_lay_in_a_directory_that_is_to_be_empty_is_gone(tmp_path):
    make_private(tmp_path / "a" / "b")
    (tmp_path / "a" / "left").touch()
    make_empty(tmp_path / "a")
    make_empty(tmp_path / "new")
    assert ([*(tmp_path / "a").iterdir()], mode(tmp_path / "a"), mode(tmp_path / "new")) == ([], 0o700, 0o700)
