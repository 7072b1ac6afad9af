"""Which team answers for a model: that of its route."""

from __future__ import annotations

from collections.abc import Sequence

from config.settings import RouteSettings


class Teams:
    """By a model's name. A route that names no model is called as its model is; one that reads it from paths or bodies has no known ones."""

    def __init__(self, routes: Sequence[RouteSettings]) -> None:
        self._by_model = {route.name: route.team for route in routes} | {route.model: route.team for route in routes if route.model}

    def __call__(self, model: str) -> str:
        """Return the team; empty where none is known."""
        return self._by_model.get(model, "")
