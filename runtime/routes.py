"""What a request's target asks for."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote


class Action(StrEnum):
    """What there is to do."""

    V2_INFER = "v2_infer"
    V2_SERVER = "v2_server"
    V2_LIVE = "v2_live"
    V2_READY = "v2_ready"
    V2_MODEL = "v2_model"
    V2_MODEL_READY = "v2_model_ready"
    V2_INDEX = "v2_index"
    V2_LOAD = "v2_load"
    V2_UNLOAD = "v2_unload"
    V1_PREDICT = "v1_predict"
    V1_STATUS = "v1_status"
    MLFLOW_PREDICT = "mlflow_predict"
    MLFLOW_PING = "mlflow_ping"
    MLFLOW_VERSION = "mlflow_version"
    METRICS = "metrics"
    SAMPLES = "samples"
    UNKNOWN = "unknown"


FOR_OPERATORS: Final = frozenset({Action.METRICS, Action.SAMPLES, Action.V2_INDEX, Action.V2_LOAD, Action.V2_UNLOAD})
"""What shows how the models are run, or changes which of them serve."""


class Target(NamedTuple):
    """A target, read."""

    action: Action
    method: str
    model: str = ""
    version: str = ""
    """A number or a label; empty where the newest is meant."""


_MODEL: Final = r"/models/(?P<model>[^/:]+)"
_VERSION: Final = r"(?:/(?:versions|labels)/(?P<version>[^/:]+))?"
_ROUTES: Final = tuple(
    (action, method, re.compile(pattern))
    for action, method, pattern in (
        (Action.V2_INFER, "POST", rf"/v2{_MODEL}{_VERSION}/infer"),
        (Action.V1_PREDICT, "POST", rf"/v1{_MODEL}{_VERSION}:predict"),
        (Action.MLFLOW_PREDICT, "POST", rf"(?:{_MODEL}{_VERSION})?/invocations"),
        (Action.V2_LIVE, "GET", r"/v2/health/live"),
        (Action.V2_READY, "GET", r"/v2/health/ready"),
        (Action.V2_MODEL_READY, "GET", rf"/v2{_MODEL}{_VERSION}/ready"),
        (Action.V2_MODEL, "GET", rf"/v2{_MODEL}{_VERSION}"),
        (Action.V2_SERVER, "GET", r"/v2"),
        (Action.V2_INDEX, "POST", r"/v2/repository/index"),
        (Action.V2_LOAD, "POST", rf"/v2/repository{_MODEL}/load"),
        (Action.V2_UNLOAD, "POST", rf"/v2/repository{_MODEL}/unload"),
        (Action.V1_STATUS, "GET", rf"/v1{_MODEL}{_VERSION}"),
        (Action.MLFLOW_PING, "GET", r"/ping|/health"),
        (Action.MLFLOW_VERSION, "GET", r"/version"),
        (Action.METRICS, "GET", r"/metrics"),
        (Action.SAMPLES, "GET", r"/samples"),
    )
)


@lru_cache(maxsize=1024)
def target_of(text: str) -> Target:
    """Return what a target in origin form asks for; its query says nothing here."""
    path = text.partition("?")[0]
    path = path.rstrip("/") or path
    for action, method, pattern in _ROUTES:
        if match := pattern.fullmatch(path):
            named = match.groupdict("")
            return Target(action, method, unquote(named.get("model", "")), unquote(named.get("version", "")))
    return Target(Action.UNKNOWN, "")
