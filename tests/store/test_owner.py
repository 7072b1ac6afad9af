import os
from pathlib import Path

import pytest

from store.owner import HeldError, take_lock


def test_what_is_held_is_refused_by_name_until_it_is_given_back(tmp_path: Path) -> None:
    lock = tmp_path / "monitor.lock"
    held = take_lock(lock, "The spool", "--spool")
    with pytest.raises(HeldError, match=rf"^The spool is held by another process \(process {os.getpid()}: .+\): stop that one, or use another --spool\.$"):
        take_lock(lock, "The spool", "--spool")
    os.close(held)
    os.close(take_lock(lock, "The spool", "--spool"))
