"""The units, as far as they can be held without a machine that boots: systemd reads them, and what they start takes the options."""

import shutil
import subprocess
from pathlib import Path

import pytest

from driftline.cli import main

UNITS = sorted((Path(__file__).parents[2] / "deploy/systemd").glob("*.service"))
COMMAND = "/opt/driftline/bin/driftline"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: apt-get install systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_a_unit_without_a_word(unit: Path, tmp_path: Path) -> None:
    (tmp_path / unit.name).write_text(unit.read_text().replace(COMMAND, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(tmp_path / unit.name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_what_is_started_takes_its_options(unit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a file that is not there, which is said only once the options have been understood."""
    (line,) = [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]
    arguments = line.removeprefix(f"ExecStart={COMMAND} ").replace("/etc/driftline", str(tmp_path)).split()
    assert main(arguments) == 2
    assert f"{tmp_path}/driftline.yaml: expected a file that can be read" in capsys.readouterr().err


def test_both_halves_are_the_same_user_and_have_the_same_spool() -> None:
    proxy, monitor = ((UNITS[0].parent / f"driftline-{name}.service").read_text() for name in ("proxy", "monitor"))
    assert "User=driftline\n" in proxy
    assert "User=driftline\n" in monitor
    assert "--spool /var/lib/driftline/spool" in proxy
    assert "--data-dir /var/lib/driftline" in monitor  # whose spool is there by default
