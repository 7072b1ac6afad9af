"""Imports go one way, siblings do not import each other, and every `__init__.py` is the map of its room."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SIBLINGS = {"access", "alerts", "console", "detectors", "events", "injection", "labels", "payloads", "privacy", "proxy", "runtime", "store", "traces"}
MAY_IMPORT = {
    "records": set[str](),
    "config": {"records"},
    "http1": set[str](),
    **{room: {"records", "config"} for room in SIBLINGS},
    "proxy": {"records", "config", "http1"},
    "runtime": {"records", "config", "http1", "payloads"},
    "grafana": {"records"},
    "driftline": {"records", "config", "http1", *SIBLINGS},
}
ROOMS = sorted(file.parent.name for file in ROOT.glob("*/__init__.py"))
MAPS = sorted(file.relative_to(ROOT) for room in ROOMS for file in (ROOT / room).rglob("__init__.py"))
MODULES = sorted(file.relative_to(ROOT) for room in ROOMS for file in (ROOT / room).rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the top-level package of every absolute import, wherever in the file it stands."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name.partition(".")[0]) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def test_every_room_has_its_place_in_the_order() -> None:
    assert set(ROOMS) <= MAY_IMPORT.keys()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it(room: str) -> None:
    barred = ({*MAY_IMPORT, "bench", "examples", "tests"} - MAY_IMPORT[room]) - {room}
    crossings = [f"{file}:{line} imports {package}" for file in MODULES if file.parts[0] == room for line, package in imports(file) if package in barred]
    assert crossings == []


@pytest.mark.parametrize("file", MAPS, ids=str)
def test_an_init_is_a_docstring_that_names_every_module_of_its_room(file: Path) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree) or ""
    assert docstring
    assert len(tree.body) == 1
    room = (ROOT / file).parent
    inside = {entry.stem for entry in room.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()} - {"__init__"}
    assert sorted(name for name in inside if f"`{name}`" not in docstring) == []


def test_the_wheel_and_the_type_checker_cover_every_room() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert sorted(project["hatch"]["build"]["targets"]["wheel"]["packages"]) == ROOMS
    assert sorted(project["mypy"]["packages"]) == ROOMS
