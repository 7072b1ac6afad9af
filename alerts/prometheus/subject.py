"""Whom an alert is about: the labels `route` and `team`, put on what has only a route or a model."""

from __future__ import annotations

from alerts.prometheus.rule import alternatives, quoted
from config.settings import Settings


def about_a_model(expr: str, settings: Settings) -> str:
    """Return the expression with the route and the team of what it says about models.

    A model that its route does not name is called as the route is; one that is read from paths or bodies gets no team.
    """
    expr = f'label_replace({expr}, "route", "$1", "model", "(.*)")'
    for route in settings.routes:
        if route.model:
            expr = f'label_replace({expr}, "route", "{quoted(route.name)}", "model", "{alternatives([route.model])}")'
    return about_a_route(expr, settings)


def about_a_route(expr: str, settings: Settings) -> str:
    """Return the expression with the team of what it says about routes."""
    teams: dict[str, list[str]] = {}
    for route in settings.routes:
        if route.team:
            teams.setdefault(route.team, []).append(route.name)
    for team, routes in teams.items():
        expr = f'label_replace({expr}, "team", "{quoted(team)}", "route", "{alternatives(routes)}")'
    return expr
