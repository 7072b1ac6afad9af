"""The commands and settings of the page are ones that the product takes."""

import re
from pathlib import Path

import pytest

from config.load import load
from driftline import cli

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"driftline up [^`\n]+")


@pytest.mark.parametrize("text", SETTINGS.findall((DOCS / "put-it-in-front.md").read_text(encoding="utf-8")))
def test_its_settings_load(text, tmp_path):
    (tmp_path / "driftline.yaml").write_text(text, encoding="utf-8")
    assert [route.name for route in load(tmp_path / "driftline.yaml").routes] == ["fraud", "churn"]


@pytest.mark.parametrize("command", COMMAND.findall("".join((DOCS / page).read_text(encoding="utf-8") for page in ("put-it-in-front.md", "mirror.md"))))
def test_its_commands_are_understood(command, monkeypatch):
    given = []
    monkeypatch.setattr("driftline.commands.up.run", lambda arguments: given.append(arguments) or 0)
    assert cli.main(command.split()[1:]) == 0
    assert given
