"""Panels and dashboards by Driftline's conventions: every panel says in words what it shows, in which unit, from which data source.

Grafana's grid has 24 columns; heights are in its rows of 30 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import prometheus, stat, statushistory, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.clickhouse import CLICKHOUSE, ClickHouse

PROMETHEUS: Final = common.DataSourceRef(type_val="prometheus", uid="${prometheus}")

HOLDS: Final = 'job=~"$job"'
"""The matcher of every query to Prometheus: the services that are looked at."""

TAG: Final = "driftline"

Panel: TypeAlias = timeseries.Panel | stat.Panel | table.Panel | statushistory.Panel


class Unit:
    """Units by Grafana's names."""

    SECONDS: Final = "s"
    NANOSECONDS: Final = "ns"
    BYTES: Final = "bytes"
    SHARE: Final = "percentunit"
    NUMBER: Final = "short"
    PER_SECOND: Final = "reqps"
    RECORDS_PER_SECOND: Final = "cps"
    DOLLARS: Final = "currencyUSD"
    TEXT: Final = "string"


class Line(NamedTuple):
    """What is drawn: a query, and the name of its series."""

    expr: str
    legend: str


class Limits(NamedTuple):
    """From where on a value is yellow and red; with `falling`, from where on downwards."""

    yellow: float
    red: float
    falling: bool = False


def lines(title: str, description: str, unit: str, *queries: Line, stack: bool = False, limits: Limits | None = None, span: int = 12) -> timeseries.Panel:
    """Return series over time, from Prometheus."""
    panel = timeseries.Panel().title(title).description(description).unit(unit).datasource(PROMETHEUS).span(span).height(8).min(0)
    panel = _drawn(panel, stack=stack)
    for index, query in enumerate(queries):
        panel = panel.with_target(prometheus.Dataquery().datasource(PROMETHEUS).expr(query.expr).legend_format(query.legend).range().ref_id(_ref(index)))
    if limits:
        panel = panel.thresholds(_thresholds(limits)).thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def sql_lines(title: str, description: str, unit: str, sql: str, *, bars: bool = False, span: int = 12) -> timeseries.Panel:
    """Return series over time, from ClickHouse: columns `time`, one of text for the series' names, and numbers."""
    panel = timeseries.Panel().title(title).description(description).unit(unit).datasource(CLICKHOUSE).span(span).height(8)
    panel = _drawn(panel, stack=bars)
    if bars:
        panel = panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(70)
    return panel.with_target(ClickHouse(sql, "timeseries"))


def number(title: str, description: str, unit: str, expr: str, *, limits: Limits | None = None, legend: str = "", span: int = 4) -> stat.Panel:
    """Return one number as it is now, with its course behind it."""
    target = prometheus.Dataquery().datasource(PROMETHEUS).expr(expr).legend_format(legend).range().ref_id("A")
    panel = stat.Panel().title(title).description(description).unit(unit).datasource(PROMETHEUS).span(span).height(5).with_target(target)
    panel = panel.graph_mode(common.BigValueGraphMode.AREA).color_mode(common.BigValueColorMode.VALUE)
    return panel.thresholds(_thresholds(limits)) if limits else panel


def rows(title: str, description: str, sql: str, *, units: dict[str, str] | None = None, links: dict[str, str] | None = None, span: int = 24) -> table.Panel:
    """Return a table, from ClickHouse; `units` and `links` (URLs) by column."""
    panel = table.Panel().title(title).description(description).unit(Unit.NUMBER).datasource(CLICKHOUSE).span(span).height(9)
    panel = panel.with_target(ClickHouse(sql, "table"))
    return _columns(panel, units or {}, links or {})


def now(
    title: str, description: str, *queries: Line, hide: Sequence[str] = (), units: dict[str, str] | None = None, links: dict[str, str] | None = None
) -> table.Panel:
    """Return a table of what Prometheus knows now: a row per set of labels, a column per query, named by its legend."""
    panel = table.Panel().title(title).description(description).unit(Unit.NUMBER).datasource(PROMETHEUS).span(24).height(10)
    for index, query in enumerate(queries):
        target = prometheus.Dataquery().datasource(PROMETHEUS).expr(query.expr).instant().ref_id(_ref(index))
        panel = panel.with_target(target.format(PromQueryFormat.TABLE))
    names = {f"Value #{_ref(index)}": query.legend for index, query in enumerate(queries)}
    excluded = dict.fromkeys(("Time", *hide), True)
    panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options={"excludeByName": excluded, "renameByName": names}))
    return _columns(panel, units or {}, links or {})


def heat(title: str, description: str, unit: str, sql: str, limits: Limits) -> statushistory.Panel:
    """Return a map of rows over time, each cell coloured by its value, from ClickHouse."""
    panel = statushistory.Panel().title(title).description(description).unit(unit).datasource(CLICKHOUSE).span(24).height(12)
    colour = boards.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)
    return panel.color_scheme(colour).thresholds(_thresholds(limits)).with_target(ClickHouse(sql, "timeseries"))


def query_variable(name: str, label: str, query: str) -> boards.QueryVariable:
    """Return a choice of one or several values of a label, all of them by default."""
    variable = boards.QueryVariable(name).label(label).datasource(PROMETHEUS).query({"query": query, "refId": name}).definition(query)
    return (
        variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def sql_variable(name: str, label: str, sql: str) -> boards.QueryVariable:
    """Return a choice of one value out of ClickHouse."""
    query: dict[str, object] = {"rawSql": sql, "queryType": "table", "editorType": "sql", "refId": name}
    variable = boards.QueryVariable(name).label(label).datasource(CLICKHOUSE).query(query).definition(sql)
    return variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)


def board(uid: str, title: str, description: str, variables: Sequence[Any], sections: dict[str, Sequence[Panel]]) -> boards.Dashboard:
    """Return a dashboard: the panels of each section under its heading."""
    made = boards.Dashboard(title).uid(f"driftline-{uid}").description(description).tags([TAG]).timezone("browser").refresh("30s")
    made = made.time("now-6h", "now").tooltip(dashboard.DashboardCursorSync.CROSSHAIR).editable()
    for source in (boards.DatasourceVariable("prometheus").label("Prometheus").type("prometheus"), _clickhouse_choice()):
        made = made.with_variable(source)
    for variable in (query_variable("job", "Service", "label_values(driftline_build_info, job)"), *variables):
        made = made.with_variable(variable)
    made = made.with_variable(boards.TextBoxVariable("console").label("Admin address").default_value("http://127.0.0.1:8081"))
    made = made.link(_links()).annotations(list(_annotations()))
    panel_id = 0
    for heading, panels in sections.items():
        made = made.with_row(boards.Row(heading))
        for panel in panels:
            panel_id += 1
            made = made.with_panel(panel.id(panel_id))
    return made


def _clickhouse_choice() -> boards.DatasourceVariable:
    return boards.DatasourceVariable("clickhouse").label("ClickHouse").type("grafana-clickhouse-datasource")


def _links() -> boards.DashboardLink:
    link = boards.DashboardLink("Driftline").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    return link.include_vars(True).keep_time(True)


_EVENTS: Final = {
    "Alerts": (
        "red",
        (
            "SELECT fired_at AS time, max(resolved_at) AS timeEnd, any(summary) AS text, name AS tags FROM alerts FINAL "
            "WHERE fired_at IS NOT NULL AND $__timeFilter(fired_at) GROUP BY name, labels, fired_at"
        ),
    ),
    "Baselines": (
        "purple",
        "SELECT created_at AS time, concat('Baseline ', baseline_id, ' of ', model) AS text FROM baselines FINAL WHERE $__timeFilter(created_at)",
    ),
    "Versions": (
        "blue",
        (
            "SELECT min(started_at) AS time, concat(model, ' version ', version, ' first served') AS text FROM exchanges "
            "WHERE version != '' AND role = 'served' GROUP BY model, version HAVING $__timeFilter(time)"
        ),
    ),
}
"""What is marked in every dashboard: its colour and where it is found."""


def _annotations() -> Any:
    for name, (colour, sql) in _EVENTS.items():
        annotation = boards.AnnotationQuery().name(name).datasource(CLICKHOUSE).enable(True).icon_color(colour)
        yield annotation.target(ClickHouse(sql, "table", "Anno"))


def _drawn(panel: timeseries.Panel, *, stack: bool) -> timeseries.Panel:
    legend = common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM).show_legend(True)
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    panel = panel.legend(legend).tooltip(tooltip).fill_opacity(30 if stack else 8).line_width(1).show_points(common.VisibilityMode.AUTO)
    return panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL)) if stack else panel


def _columns(panel: table.Panel, units: dict[str, str], links: dict[str, str]) -> table.Panel:
    for column, unit in units.items():
        panel = panel.override_by_name(column, [dashboard.DynamicConfigValue(id_val="unit", value=unit)])
    for column, url in links.items():
        link = {"title": "Look closer", "url": url}
        panel = panel.override_by_name(column, [dashboard.DynamicConfigValue(id_val="links", value=[link])])
    return panel


def _thresholds(limits: Limits) -> boards.ThresholdsConfig:
    colours = ("red", "yellow", "green") if limits.falling else ("green", "yellow", "red")
    bounds = (None, limits.red, limits.yellow) if limits.falling else (None, limits.yellow, limits.red)
    steps = [dashboard.Threshold(value=bound, color=colour) for bound, colour in zip(bounds, colours, strict=True)]
    return boards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _ref(index: int) -> str:
    return chr(ord("A") + index)
