"""Settings from a file, from options, or from a file with options over it. Environment variables are not read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec.structs import replace

from config.addresses import Address, Url
from config.document import Document, Problem, Root, read_document
from config.model import ModelSettings
from config.rules import model_problems, problems
from config.settings import RouteSettings, Settings, ShadowSettings

_FAST_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
_NO_UPSTREAM = "expected an upstream, found none; for example: --upstream http://127.0.0.1:9000"


class ConfigError(Exception):
    """The settings cannot be used; the text has one line per problem, in the order of the file."""


def load(file: Path | None = None, options: Mapping[str, Any] | None = None, *, routes_needed: bool = True) -> Settings:
    """Return the settings of `file`, if any, with `options` in place of its values, or raise `ConfigError`.

    Options are values by key, for example `proxy.listen`. Keys that begin with `route.` belong to the only route, which
    is made if the file has none.
    """
    if routes_needed and not file and not {"route.upstream", "runtime.models"} & (options or {}).keys():
        raise ConfigError(_NO_UPSTREAM)
    document = _read(file, Settings) if file else Document(Settings(), {}, [])
    return _checked(document, file, options or {}, routes_needed=routes_needed)


def parse(text: str) -> Settings:
    """Return what a text says that a program wrote as a configuration file, or raise `ConfigError`, with the keys of what is wrong but no lines."""
    return _checked(read_document(text, Settings, _FAST_LOADER), None, {}, routes_needed=True)


def load_model(file: Path) -> ModelSettings:
    """Return the settings of one version of a model, or raise `ConfigError`."""
    document = _read(file, ModelSettings)
    if document.settings is None:
        raise _error(file, document.lines, document.problems)
    broken = [Problem(key, text) for key, text in model_problems(document.settings)]
    if broken:
        raise _error(file, document.lines, broken)
    return document.settings


def _checked(document: Document[Settings], file: Path | None, options: Mapping[str, Any], *, routes_needed: bool) -> Settings:
    if document.settings is None:
        raise _error(file, document.lines, document.problems)
    settings = _with_shadow_names(_with_options(document.settings, options, routes_needed=routes_needed))
    broken = [Problem(key, text) for key, text in problems(settings, routes_needed=routes_needed)]
    if broken:
        raise _error(file, document.lines, broken)
    return settings


def _read(file: Path, kind: type[Root]) -> Document[Root]:
    try:
        return read_document(file.read_text(encoding="utf-8"), kind)
    except OSError as error:
        raise ConfigError(f"{file}: expected a file that can be read, found: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: expected text in UTF-8, found byte {error.object[error.start]:#04x} at offset {error.start}") from None


def _error(file: Path | None, lines: Mapping[str, int], found: list[Problem]) -> ConfigError:
    located = sorted((problem._replace(line=problem.line or _line(lines, problem.key)) for problem in found), key=lambda problem: problem.line)
    return ConfigError("\n".join(_sentence(file, problem) for problem in located))


def _line(lines: Mapping[str, int], key: str) -> int:
    """Return the line of a key, else of what it would stand in, else 0."""
    while key and key not in lines:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return lines.get(key, 0)


def _sentence(file: Path | None, problem: Problem) -> str:
    place = f"{file}:{problem.line}" if file and problem.line else str(file) if file else ""
    return ": ".join(filter(None, (place, problem.key, problem.text)))


def _with_options(settings: Settings, options: Mapping[str, Any], *, routes_needed: bool) -> Settings:
    for key, value in options.items():
        if not key.startswith("route."):
            settings = _replaced(settings, key, value)
    of_route = {key.removeprefix("route."): value for key, value in options.items() if key.startswith("route.")}
    if routes_needed and settings.runtime.models and not settings.routes:
        of_route = {"upstream": (_url_of(settings.runtime_address),), "idempotent": True, **of_route}
    if of_route:
        settings = replace(settings, routes=(_only_route(settings.routes, of_route),))
    return settings


def _url_of(address: Address) -> Url:
    return Url("unix", address.host, 0) if address.is_unix else Url("http", address.host or "127.0.0.1", address.port)


def _only_route(routes: tuple[RouteSettings, ...], options: Mapping[str, Any]) -> RouteSettings:
    if len(routes) > 1:
        raise ConfigError(f"expected a file with one route for options that change it, found {len(routes)}; write them into the file instead")
    if not routes and "upstream" not in options:
        raise ConfigError(_NO_UPSTREAM)
    return replace(routes[0], **options) if routes else RouteSettings(**options)


def _replaced(section: Any, key: str, value: Any) -> Any:
    name, _, rest = key.partition(".")
    return replace(section, **{name: _replaced(getattr(section, name), rest, value) if rest else value})


def _with_shadow_names(settings: Settings) -> Settings:
    return replace(settings, routes=tuple(replace(route, shadows=_named(route.shadows)) for route in settings.routes))


def _named(shadows: tuple[ShadowSettings, ...]) -> tuple[ShadowSettings, ...]:
    return tuple(replace(shadow, name=shadow.name or f"shadow-{number}") for number, shadow in enumerate(shadows, start=1))
