"""The dashboards as they are committed: made from the code, sound, and by the rules of Grafana's own linter.

https://github.com/grafana/dashboard-linter/tree/main/docs/rules
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from alerts.prometheus.rules import alert_groups
from config.settings import Settings
from grafana.generate import DIRECTORY, files
from records.metrics import Metric

FILES = sorted(DIRECTORY.glob("*.json"))
BOARDS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}
PROVISIONING = DIRECTORY.parent / "provisioning"


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


ALL = [pytest.param(board, panel, id=f"{name}: {panel['title']}") for name, board in BOARDS.items() for panel in panels(board)]


def test_what_is_committed_is_what_the_code_makes() -> None:
    made = dict(files())
    assert {file.name: file.read_text(encoding="utf-8") for file in FILES} == made, "run `make generate`"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_the_sdk_reads_a_board_back_as_it_is(board: dict[str, Any]) -> None:
    without_queries = json.loads(json.dumps(board))  # the SDK knows no queries to ClickHouse
    for entry in (*panels(without_queries), *without_queries["annotations"]["list"]):
        entry.pop("targets", None)
        entry.pop("target", None)
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(without_queries))) == without_queries


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_has_its_name_its_choices_and_its_links(board: dict[str, Any]) -> None:
    assert board["uid"].startswith("driftline-")
    assert board["title"]
    assert board["description"].endswith(".")
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names[:3] == ["prometheus", "clickhouse", "job"]
    assert board["links"][0]["tags"] == board["tags"] == ["driftline"]
    assert {annotation["name"] for annotation in board["annotations"]["list"]} == {"Alerts", "Baselines", "Versions"}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_do_not_overlap_and_have_numbers_of_their_own(board: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        taken = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not taken & cells, panel["title"]
        cells |= taken
    numbers = [panel["id"] for panel in panels(board)]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("board", "panel"), ALL)
def test_a_panel_says_what_it_shows(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] in {"${prometheus}", "${clickhouse}"}


@pytest.mark.parametrize(("board", "panel"), ALL)
def test_queries_follow_the_choices_of_the_board(board: dict[str, Any], panel: dict[str, Any]) -> None:
    known = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval", "__range", "__timeFilter", "__timeInterval"}
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == panel["datasource"]["uid"]
        query = target.get("expr") or target["rawSql"]
        assert set(re.findall(r"\$\{?(\w+)", query)) <= known, query
        if "expr" in target:
            selectors = re.findall(r"(?:driftline_\w+|process_\w+|slo:[\w:]+)(\{[^}]*\})?", query)
            assert all('job=~"$job"' in selector for selector in selectors), query
            assert not re.search(r"\[\d+[smd]\]", query), "a range that does not follow the board's time"
        else:
            assert "$__timeFilter(" in query, query


def test_metrics_that_are_asked_for_exist() -> None:
    asked = {name for board in BOARDS.values() for name in re.findall(r"driftline_[a-z_]+", json.dumps(board))}
    assert {name.removesuffix("_bucket") for name in asked} <= {metric.metric_name for metric in Metric}


@pytest.mark.parametrize(("board", "panel"), ALL)
def test_queries_name_labels_that_their_metrics_have(board: dict[str, Any], panel: dict[str, Any]) -> None:
    labels = {metric.metric_name: {*metric.value.labels, "job"} for metric in Metric}
    for query in (target["expr"] for target in panel["targets"] if "expr" in target):
        asked = [(name.removesuffix("_bucket"), matchers) for name, matchers in re.findall(r"((?:driftline|process)_[a-z_]+)\{([^}]*)\}", query)]
        for name, matchers in asked:
            assert set(re.findall(r"(\w+)(?:=|!=)", matchers)) <= labels[name], query
        grouped = {label for by in re.findall(r"by \(([^)]*)\)", query) for label in by.split(", ")}
        assert not asked or grouped <= {"le"}.union(*(labels[name] for name, _ in asked)), query


def test_alerts_link_to_boards_that_exist() -> None:
    uids = {board["uid"] for board in BOARDS.values()}
    assert {rule.dashboard.partition("?")[0] for group in alert_groups(Settings()).values() for rule in group} <= uids


def test_boards_link_to_boards_and_choices_that_exist() -> None:
    choices = {board["uid"]: {variable["name"] for variable in board["templating"]["list"]} for board in BOARDS.values()}
    links = [link for board in BOARDS.values() for link in re.findall(r'"/d/([\w-]+)\?([^"]*)"', json.dumps(board))]
    assert links
    for uid, query in links:
        assert set(re.findall(r"var-(\w+)=", query)) <= choices[uid]


def test_alerts_name_choices_that_exist() -> None:
    choices = {board["uid"]: {variable["name"] for variable in board["templating"]["list"]} for board in BOARDS.values()}
    for group in alert_groups(Settings()).values():
        for rule in group:
            uid, _, query = rule.dashboard.partition("?")
            assert set(re.findall(r"var-(\w+)=", query)) <= choices[uid]


def test_provisioning_names_both_data_sources_and_the_boards() -> None:
    (sources,) = (yaml.safe_load(file.read_text()) for file in (PROVISIONING / "datasources").iterdir())
    assert {source["type"] for source in sources["datasources"]} == {"prometheus", "grafana-clickhouse-datasource"}
    (boards,) = (yaml.safe_load(file.read_text()) for file in (PROVISIONING / "dashboards").iterdir())
    assert boards["providers"][0]["options"]["path"]
    (contacts,) = (yaml.safe_load(file.read_text()) for file in (PROVISIONING / "alerting").iterdir())
    assert contacts["contactPoints"]


def test_the_directory_is_a_path_of_the_repository() -> None:
    assert Path("grafana/dashboards").resolve() == DIRECTORY.resolve()
