"""Examples are what a user copies: they load, and so does every line that they offer in a comment."""

import re
from pathlib import Path

import msgspec
import pytest

from config.declare import Section, declarations
from config.load import load, load_model
from config.model import ModelSettings
from config.settings import Settings

EXAMPLE = Path(__file__).parent.parent / "examples/driftline.yaml"
MODEL_EXAMPLE = EXAMPLE.with_name("model.yaml")
COMMENTED_SETTING = re.compile(r"^( *)# (\w+: \S.*|- \{.*)$", re.MULTILINE)


def written_keys(section: type[Section]) -> set[str]:
    """Return the names of all settings, however deep."""
    known = declarations(section).values()
    return {declaration.name for declaration in known}.union(*(written_keys(each.type) for each in known if each.is_section))


def test_the_example_loads_as_it_is() -> None:
    assert [route.name for route in load(EXAMPLE).routes] == ["fraud", "everything-else"]


def test_the_example_loads_with_every_comment_taken_up(tmp_path: Path) -> None:
    text, taken_up = COMMENTED_SETTING.subn(r"\1\2", EXAMPLE.read_text(encoding="utf-8"))
    (tmp_path / "driftline.yaml").write_text(text, encoding="utf-8")
    settings = load(tmp_path / "driftline.yaml")
    assert taken_up > 15
    assert settings.store.clickhouse is not None
    assert settings.alerts.webhook is not None
    assert len(settings.alerts.receivers) == 5


def test_the_example_of_a_small_machine_loads_as_it_is() -> None:
    settings = load(EXAMPLE.with_name("edge.yaml"))
    assert not settings.watch
    assert settings.proxy.workers == 1
    assert settings.store.clickhouse is not None


@pytest.mark.parametrize("key", sorted(written_keys(Settings)))
def test_the_example_shows_every_setting(key: str) -> None:
    assert re.search(rf"^[ #-]*({{[^}}]*)?\b{key}:", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("section", ["spool", "store", "drift", "labels", "alerts"])
def test_the_example_gives_the_defaults_where_it_says_nothing_else(section: str) -> None:
    assert msgspec.structs.asdict(getattr(load(EXAMPLE), section)) == msgspec.structs.asdict(getattr(Settings(), section))


def test_the_example_of_a_model_gives_the_defaults_and_loads_with_every_comment_taken_up(tmp_path: Path) -> None:
    assert load_model(MODEL_EXAMPLE) == ModelSettings()
    text, taken_up = COMMENTED_SETTING.subn(r"\1\2", MODEL_EXAMPLE.read_text(encoding="utf-8"))
    (tmp_path / "model.yaml").write_text(text, encoding="utf-8")
    settings = load_model(tmp_path / "model.yaml")
    assert taken_up == 4
    assert settings.labels == ("stable", "eu")
    assert settings.batching.p99_target == 0.02


@pytest.mark.parametrize("key", sorted(written_keys(ModelSettings)))
def test_the_example_of_a_model_shows_every_setting(key: str) -> None:
    assert re.search(rf"^[ #-]*{key}:", MODEL_EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
