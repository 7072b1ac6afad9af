"""Which model an exchange was for, and which baseline a model has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from config.settings import RouteSettings
from records.baseline import Baseline
from records.exchange import Exchange
from records.payload import DecodeResult


def load_baselines(routes: Sequence[RouteSettings]) -> dict[str, Baseline]:
    """Return the baselines that the routes name, by route. Raises OSError or BaselineError with a sentence for the user."""
    named = [route for route in routes if route.baseline]
    if not named:
        return {}
    from detectors.baseline import load_baseline  # noqa: PLC0415 - with SciPy, which a forwarder without baselines does without

    return {route.name: load_baseline(Path(route.baseline), model=route.model) for route in named}


class Naming:
    """The model and version of an exchange: what its route says, else what the request (and of its version the reply) says, else the route's baseline or name."""

    def __init__(self, baselines: Mapping[str, Baseline], identify: Callable[[Exchange, DecodeResult | None], tuple[str, str]]) -> None:
        """`baselines` are by route; `identify` tells what a request says, as `Decoding` does."""
        self._identify = identify
        self._models = {route: baseline.model for route, baseline in baselines.items()}

    def __call__(self, exchange: Exchange, reply: DecodeResult | None = None) -> tuple[str, str]:
        """Return model and version; the version is empty where nothing tells it. `reply` is what it was decoded to, where that is known: that saves reading it again."""
        if exchange.model and exchange.version:
            return exchange.model, exchange.version
        model, version = self._identify(exchange, reply)
        if exchange.model or not model:
            return exchange.model or self._models.get(exchange.route, exchange.route), exchange.version or version
        return model, version or exchange.version
