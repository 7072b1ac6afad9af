"""What a monitor makes on the disk, and who may look at it."""

from __future__ import annotations

import subprocess
import sys

START = """
import sys, tempfile
from config.addresses import Address
from config.settings import Settings
from driftline.monitor import Monitor
Monitor(Settings(data_dir=sys.argv[1], admin=Address("127.0.0.1", 0)))
with tempfile.NamedTemporaryFile() as file:
    print(file.name)
"""


def test_what_is_being_inserted_lies_with_the_store_and_not_where_a_kill_would_leave_it(tmp_path):
    temporary = tmp_path / "data" / "tmp"
    temporary.mkdir(parents=True)
    (temporary / "left.raw").write_bytes(b"bodies")
    started = subprocess.run([sys.executable, "-c", START, str(tmp_path / "data")], check=True, capture_output=True, text=True)
    assert started.stdout.startswith(f"{temporary}/")
    assert [*temporary.iterdir()] == []
    assert temporary.stat().st_mode & 0o777 == 0o700


def test_the_data_directory_is_for_its_owner_alone(tmp_path):
    subprocess.run([sys.executable, "-c", START, str(tmp_path / "data")], check=True, capture_output=True)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "data", tmp_path / "data" / "spool")} == {"data": "0o700", "spool": "0o700"}
