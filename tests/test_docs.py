"""The documentation says what the code does: links lead somewhere, examples run, and pages made from code are up to date."""

import doctest
import re
import sys
from enum import StrEnum
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from config import reference
from driftline import metrics_reference
from injection import reference as annotations_reference
from records.exchange import Role
from records.metrics import Metric

ROOT = Path(__file__).parent.parent
PAGES = sorted(file.relative_to(ROOT) for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MODULES_WITH_EXAMPLES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for room in ROOT.glob("*/__init__.py")
    for file in room.parent.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)
ELSEWHERE = ("http://", "https://", "mailto:")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(prose(page))}


def is_dead(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (ROOT / page).parent / name if name else ROOT / page
    return not target.exists() or (bool(anchor) and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if not link.startswith(ELSEWHERE)]
    assert [link for link in links if is_dead(page, link)] == []


@pytest.mark.parametrize("link", ["absent.md", "settings.md#absent", "#absent"])
def test_a_dead_link_is_seen(link: str) -> None:
    assert is_dead(Path("docs/metrics.md"), link)
    assert not is_dead(Path("docs/metrics.md"), "settings.md#settings")


@pytest.mark.parametrize(
    ("page", "made"),
    [("settings", reference.page), ("metrics", metrics_reference.page), ("annotations", annotations_reference.page)],
    ids=["settings", "metrics", "annotations"],
)
def test_a_page_made_from_code_is_up_to_date(page: str, made) -> None:
    assert (ROOT / f"docs/{page}.md").read_text(encoding="utf-8") == made(), "run `make generate`"


@pytest.mark.parametrize("label", ["reason", "kind", "outcome", "source", "timing", "severity"])
def test_every_metric_with_a_reason_says_what_its_values_mean(label: str) -> None:
    page = metrics_reference.page()
    names = [metric.metric_name for metric in Metric if label in metric.value.labels]
    assert names
    assert [name for name in names if f"| {name} | `{label}` | `" not in page] == []


def test_a_value_without_a_meaning_is_refused() -> None:
    class Mute(StrEnum):
        SAID = "said"  # what it means
        UNSAID = "unsaid"

    assert dict(metrics_reference.meanings(Role)) == {"served": "the reply that the client got", "shadow": "a shadow's, which nobody saw"}
    with pytest.raises(ValueError, match=r"Mute\.UNSAID"):
        list(metrics_reference.meanings(Mute))


@pytest.mark.parametrize("module", MODULES_WITH_EXAMPLES)
def test_examples_in_docstrings_run(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_from_file_location(module, ROOT / f"{module.replace('.', '/')}.py")  # not what lies compiled beside it, which shows no docstrings
    assert spec is not None
    assert spec.loader is not None
    source = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module, source)
    spec.loader.exec_module(source)
    outcome = doctest.testmod(source)
    assert outcome.attempted > 0
    assert outcome.failed == 0
