"""The catalogue of alerts and what must go with it."""

from pathlib import Path

import pytest

from alerts.catalogue import AlertKind
from alerts.prometheus.rules import alert_groups
from config.settings import Settings

RUNBOOK = Path(__file__).parents[2] / "docs/runbooks/README.md"


NAMES = sorted({kind.value.name for kind in AlertKind} | {rule.name for group in alert_groups(Settings()).values() for rule in group})


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_its_heading_in_the_runbook_with_all_four_answers(name):
    section = RUNBOOK.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    for answer in ("**Means**", "**Look first**", "**Do**", "**Resolves**"):
        assert answer in section, f"{answer} is missing under {name}"


def test_the_runbook_has_no_heading_for_an_alert_that_does_not_exist():
    headings = {line.removeprefix("## ") for line in RUNBOOK.read_text().splitlines() if line.startswith("## ")}
    assert headings == set(NAMES)


@pytest.mark.parametrize("kind", AlertKind)
def test_a_kind_is_found_by_its_name(kind):
    assert AlertKind.named(kind.value.name) is kind


def test_a_name_that_is_not_known_is_no_kind():
    assert AlertKind.named("ModelMoodSwing") is None
