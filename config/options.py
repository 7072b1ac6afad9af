"""Settings as command-line options: help, unit, default and the reading of values come from the declarations.

A command declares the options that it takes with `add_config_option` and `add_option`, and gets its settings with
`settings_of`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from config.addresses import parse_shadow
from config.declare import Declaration, declarations, written
from config.load import load
from config.settings import RouteSettings, Settings, ShadowSettings
from config.units import QuantityError

_DESTINATION = "settings:"  # keeps settings apart from a command's own arguments


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Take `--config FILE`."""
    parser.add_argument("--config", metavar="FILE", type=Path, help="A file of settings (docs/settings.md); other options override its values.")


def add_option(parser: argparse.ArgumentParser, flag: str, key: str, *, required: bool = False) -> None:
    """Take one setting by its key, for example `proxy.listen`; a key that begins with `route.` belongs to the only route."""
    declaration = _declaration(key)
    parser.add_argument(
        flag,
        dest=_DESTINATION + key,
        metavar=_metavar(declaration),
        type=_argument_type(declaration.parse),
        required=required,
        help=_help(declaration, required=required),
    )


def add_shadow_option(parser: argparse.ArgumentParser) -> None:
    """Take `--shadow URL[@P%]`, repeatable."""
    parser.add_argument(
        "--shadow",
        dest=_DESTINATION + "route.shadows",
        metavar="URL[@P%]",
        type=_argument_type(_shadow),
        action="append",
        help="A model that gets a copy of the traffic, or of a share of it, for example http://127.0.0.1:9001@25%%; repeatable.",
    )


def settings_of(arguments: argparse.Namespace, *, routes_needed: bool = True) -> Settings:
    """Return the settings that the parsed arguments ask for, or raise `ConfigError`."""
    given = {key.removeprefix(_DESTINATION): value for key, value in vars(arguments).items() if key.startswith(_DESTINATION) and value is not None}
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return load(getattr(arguments, "config", None), options, routes_needed=routes_needed)


def _declaration(key: str) -> Declaration:
    section: type = Settings
    names = key.split(".")
    if names[0] == "route":
        section, names = RouteSettings, names[1:]
    for name in names[:-1]:
        section = declarations(section)[name].type
    return declarations(section)[names[-1]]


def _metavar(declaration: Declaration) -> str:
    if declaration.type is int:
        return "N"
    return {"": "TEXT", "bytes": "SIZE", "directory": "DIR", "duration": "TIME"}.get(declaration.unit, declaration.unit.upper())


def _argument_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let argparse show the whole sentence of a `QuantityError`."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except QuantityError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _shadow(text: str) -> ShadowSettings:
    urls, share = parse_shadow(text)
    return ShadowSettings(url=urls, share=share)


def _help(declaration: Declaration, *, required: bool) -> str:
    has_default = not required and not declaration.is_required and declaration.default not in {None, ""}
    facts = (declaration.unit, declaration.bounds, f"default {written(declaration.default)}" if has_default else f"for example {declaration.example}")
    return f"{declaration.help} ({', '.join(filter(None, facts))})".replace("%", "%%")
