"""The Dockerfile and its locks, as far as they can be held without an engine; `python -m bench.images` builds and runs what they say."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.images import SUBJECTS, Figure, report

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
STAGES = {
    match["name"]: (match["parent"], match["body"])
    for match in re.finditer(r"^FROM (?P<parent>\S+) AS (?P<name>\S+)\n(?P<body>.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
}
BUILDING = {"packages", "root", "tools", "wheel", *(name for name in STAGES if name.endswith("-packages"))}
IMAGES = sorted(set(STAGES) - BUILDING - {"base"})
LOCKS = sorted((ROOT / "deploy/locks").glob("*.txt"))
EXTRAS = {
    "sidecar": ["encryption", "tokens"],
    "edge": ["edge", "encryption", "tokens"],
    "injector": ["injector"],
    "monitor": ["monitor", "encryption", "tokens"],
    "runtime": ["runtime"],
    "runtime-cuda": ["gpu"],
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(lock: Path) -> dict[str, set[str]]:
    """Return the versions that a lock names, of a package more than one where Python's version decides."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def asked(extra: str) -> set[str]:
    """Return the packages that an extra asks for, with those of the extras that it names."""
    found = set()
    for text in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            found |= {name for each in requirement.extras for name in asked(each)}
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def test_all_images_and_all_locks_are_looked_at() -> None:
    assert {"sidecar", "edge", "injector", "monitor", "runtime", "runtime-cuda", "sample"} <= set(IMAGES)
    assert {lock.stem for lock in LOCKS} == {name.removesuffix("-packages") for name in STAGES if name.endswith("-packages")} | {"build"}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_needs_no_shell_and_runs_as_nobody(image: str) -> None:
    stage, seen = image, ""
    while stage != "base":
        stage, body = STAGES[stage]
        seen += body
    assert "\nUSER 10001:10001\n" in STAGES["base"][1]
    assert not re.search(r"^(RUN|USER|SHELL)", seen, re.MULTILINE)
    for instruction in re.findall(r"^(?:HEALTHCHECK .* )?(?:CMD|ENTRYPOINT) (.*)$", seen, re.MULTILINE):
        assert isinstance(json.loads(instruction), list)
    assert image == "sample" or "HEALTHCHECK" in seen


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_is_pinned_by_the_hashes_of_its_files(lock: Path) -> None:
    entries = re.findall(r"^[A-Za-z0-9_.-]+==.*?(?=^[A-Za-z0-9#]|\Z)", lock.read_text(), re.MULTILINE | re.DOTALL)
    assert len(entries) >= len(pinned(lock)) > 3
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_images_have_the_versions_that_the_tests_ran_with(lock: Path) -> None:
    tested = pinned(ROOT / "constraints.txt")
    assert {name: versions for name, versions in pinned(lock).items() if not versions <= tested.get(name, versions)} == {}


@pytest.mark.parametrize(("image", "extras"), EXTRAS.items())
def test_an_image_has_what_its_extras_ask_for(image: str, extras: list[str]) -> None:
    wanted = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}.union(*(asked(extra) for extra in extras))
    missing = wanted - set(pinned(ROOT / f"deploy/locks/{image}.txt"))
    assert not missing, "run deploy/lock"


def test_every_image_is_built_and_run_by_the_command_that_measures_them() -> None:
    assert {subject.image for subject in SUBJECTS} == set(IMAGES) - {"runtime-cuda", "sample"}, (
        "a GPU would be needed for the first; the second stands beside all others"
    )


def test_figures_of_images_are_a_row_each() -> None:
    figure = Figure("edge", "`up`", 300_000_000, "120m", 110_000_000, 3.25)
    cells = [cell.strip() for cell in report([figure]).splitlines()[-1].strip("|").split("|")]
    assert cells == ["`edge`", "`up`", "300", "110", "120m", "3.2"]
