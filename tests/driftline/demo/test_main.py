import tempfile

from driftline.demo import start
from driftline.demo.main import main


def test_a_part_that_does_not_start_is_named_with_what_it_said_and_where_the_logs_are(monkeypatch, tmp_path, capsys):
    broken = tmp_path / "driftline"
    broken.write_text("#!/bin/sh\necho the disk is full\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(start, "DRIFTLINE", str(broken))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert main(20.0, headless=True, json_file=None) == 1
    (directory,) = tmp_path.glob("driftline-demo-*")
    assert capsys.readouterr().err == f"failed: baseline ended with exit code 3\n  the disk is full\nThe logs are in {directory}\n"
    assert (directory / "baseline.log").read_text() == "the disk is full\n"
