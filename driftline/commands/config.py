"""`driftline config check FILE`: what a file of settings says, or everything that is wrong with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from access.authenticator import Authenticator
from config.addresses import written
from config.load import ConfigError, load
from config.settings import Settings, ShadowSettings
from driftline.spooling import keys_of
from privacy.keys import hashers
from proxy.tls import server_context
from proxy.upstream_tls import require_upstream_tls


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="say what the file sets up, or what is wrong with it and where (exit status 2)")
    check.add_argument("file", metavar="FILE", type=Path, help="a file of settings in YAML, as docs/settings.md describes them")


def run(arguments: argparse.Namespace) -> int:
    """Check the file."""
    try:
        settings = load(arguments.file)
        if settings.proxy.tls:
            server_context(settings.proxy.tls)
        if settings.admin_tls:
            server_context(settings.admin_tls, "admin_tls")
        require_upstream_tls(settings.routes)
        Authenticator(settings.access)
        hashers(settings.privacy.hash_keys)
        keys_of(settings.spool)
        _check_baselines(settings)
        _check_formats(settings)
    except (ConfigError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{arguments.file}: ok\n" + "".join(f"  {line}\n" for line in _summary(settings)))
    return 0


def _check_baselines(settings: Settings) -> None:
    """Raise OSError or ValueError where a baseline that a route names cannot be used."""
    if any(route.baseline for route in settings.routes):
        from driftline.naming import load_baselines  # noqa: PLC0415 - a file without baselines is checked without NumPy

        load_baselines(settings.routes)


def _check_formats(settings: Settings) -> None:
    """Raise ValueError where a route cannot read bodies as it says."""
    if any(route.format or route.signature for route in settings.routes):
        from driftline.decoding import Decoding  # noqa: PLC0415 - likewise without what only the monitor needs

        Decoding(settings.routes)


def _summary(settings: Settings) -> Iterator[str]:
    for route in settings.routes:
        compared = f", compared with {route.baseline}" if route.baseline else ""
        yield f"route {route.name}: {route.path} to {written(route.upstream)}{compared}"
        yield from (f"  shadow {shadow.name}: {_part(shadow)} to {written(shadow.url)}" for shadow in route.shadows)
    tls = settings.proxy.tls
    speaks = f" with TLS{' and certificates of clients' if tls.client_ca else ''}" if tls else ""
    yield f"listens on {settings.proxy.listen}{speaks} ({settings.proxy.workers} worker{'s' if settings.proxy.workers > 1 else ''}), admin on {settings.admin}"
    yield f"spool of {settings.spool.max_size} in {settings.spool_directory}, store {_store(settings)}"
    yield f"false alerts at most {settings.drift.budget}, alerts go to {settings.alerts.webhook or 'the log only'}"


def _part(shadow: ShadowSettings) -> str:
    """Say what a shadow gets of the traffic."""
    key = f" of {shadow.key}" if shadow.key else ""
    condition = f" where {shadow.when}" if shadow.when else ""
    return f"{shadow.share}{key}{condition}"


def _store(settings: Settings) -> str:
    return f"on {settings.store.clickhouse}" if settings.store.clickhouse else f"embedded in {settings.data_dir}"
