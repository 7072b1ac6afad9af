"""What the Driftline in a pod is told, as the file that it reads: the injector's own, with the pod's routes, addresses and wishes."""

from __future__ import annotations

from typing import Any, Final

import yaml

from config.addresses import parse_shadow
from config.addresses import written as written_urls
from config.load import ConfigError, parse
from config.units import QuantityError
from injection.annotations import Annotations, annotation

MOUNT: Final = "/var/lib/driftline"
DATA_DIRECTORY: Final = f"{MOUNT}/data"
"""Below the mount: so that Driftline makes it, and only Driftline can look into it."""

_OWN_SECTIONS: Final = ("routes", "injector", "admin", "data_dir", "runtime")
"""What the injector's file says of the injector, or what each pod has its own of."""
_DEEPEST: Final = 20
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where PyYAML was built with it: an API server waits for this."""

_WHO: Final = frozenset({"anonymous", "keys", "tokens"})
"""By which `access` says who may do what."""


class Base:
    """What all pods are told. Raises ConfigError where that cannot be used."""

    def __init__(self, text: str = "", name: str = "settings") -> None:
        """`text` is the injector's file, which is known to be good for the injector."""
        found = _plain(text, name) or {}
        if found.get("routes"):
            raise ConfigError(f"{name}: routes: expected none, as they come from each pod's annotations ({annotation('routes')})")
        self._found = {key: value for key, value in found.items() if key not in _OWN_SECTIONS}
        try:
            settings = parse(self.text(Annotations(), 1, 2, 3))
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        if settings.store.clickhouse and settings.store.clickhouse.password:
            raise ConfigError(
                f"{name}: store.clickhouse: expected no password, which whoever may look at pods could read in their annotations; for example: password: /etc/driftline/secrets/clickhouse"
            )

    def text(self, asked: Annotations, listen: int, app: int, admin: int) -> str:
        """Return the file of one pod; not checked."""
        settings = {**self._found, "access": _access(self._found.get("access") or {}), "admin": f":{admin}", "data_dir": DATA_DIRECTORY}
        settings["proxy"] = {**(self._found.get("proxy") or {}), "listen": f":{listen}"}
        settings["routes"] = _routes(asked, app)
        if asked.budget:
            settings["drift"] = {**(self._found.get("drift") or {}), "budget": str(asked.budget)}
        return yaml.dump(settings, Dumper=_DUMPER, sort_keys=False, width=1000)

    def checked_text(self, asked: Annotations, listen: int, app: int, admin: int) -> str:
        """Return the file of one pod. Raises ConfigError where its annotations do not make one."""
        text = self.text(asked, listen, app, admin)
        try:
            parse(text)
        except ConfigError as error:
            given = [annotation(name) for name in ("routes", "shadows", "capture", "budget") if getattr(asked, name)]
            raise ConfigError(f"{', '.join(given)}: {error}") from None
        return text


def _access(found: dict[str, Any]) -> dict[str, Any]:
    """Return who may do what: where the injector's file does not say, Prometheus may come by, which shows nothing, and nobody may read exchanges or change something."""
    return found if _WHO & found.keys() else {**found, "anonymous": "viewer"}


def _routes(asked: Annotations, app: int) -> list[Any]:
    routes = _plain(str(asked.routes), annotation("routes")) if asked.routes else [{}]
    if not isinstance(routes, list) or not all(isinstance(route, dict) for route in routes) or not routes:
        raise ConfigError(f"{annotation('routes')}: expected a list of routes; for example: [{{path: /v2/models/fraud, model: fraud}}]")
    own: dict[str, Any] = {"upstream": f"http://127.0.0.1:{app}"}
    if asked.capture:
        own["capture"] = str(asked.capture)
    if asked.shadows:
        own["shadows"] = _shadows(asked.shadows)
    return [{**own, **route} for route in routes]


def _shadows(text: str) -> list[dict[str, str]]:
    try:
        shadows = [parse_shadow(word) for word in text.split()]
    except QuantityError as error:
        raise ConfigError(f"{annotation('shadows')}: {error}") from None
    return [{"url": written_urls(urls), "share": str(share)} for urls, share in shadows]


def _plain(text: str, where: str) -> Any:
    """Return what YAML says, every scalar as its text. Raises ConfigError; `where` is for messages."""
    try:
        _require_simple(text)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - makes texts, lists and mappings only
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from None


def _require_simple(text: str) -> None:
    """Raise ValueError where a few bytes could take gigabytes, or more than the stack: at aliases, and at what is nested without end."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
            raise ValueError(f"found an alias (*), or what is nested more than {_DEEPEST} times")
