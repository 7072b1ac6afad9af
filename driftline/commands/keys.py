"""`driftline keys`: the file of API keys (`access.keys`). A key is shown once, when it is made; the file has its hash."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from datetime import date
from pathlib import Path

from access.keys import StoredKey, make_key, read_keys
from records.access import AccessRole


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    make = actions.add_parser("make", help="print a new key, and put its hash into the file")
    make.add_argument("name", metavar="NAME", help="whose it is, in small letters, digits and -")
    make.add_argument("--role", required=True, choices=list(map(str, AccessRole)), help="what it is good for (docs/access.md)")
    make.add_argument(
        "--until", metavar="DAY", type=_day, help="the last day on which it is good, in UTC, for example 2027-01-31; by default it is good for ever"
    )
    make.set_defaults(act=_make)
    listing = actions.add_parser("list", help="say which keys there are")
    listing.set_defaults(act=_list)
    revoke = actions.add_parser("revoke", help="take a key out of the file: it is good for a second more")
    revoke.add_argument("name", metavar="NAME", help="whose key")
    revoke.set_defaults(act=_revoke)
    for action in (make, listing, revoke):
        action.add_argument("--file", metavar="FILE", type=Path, required=True, help="the file that `access.keys` names; it is made where there is none")


def run(arguments: argparse.Namespace) -> int:
    """Make, list or revoke."""
    try:
        arguments.act(arguments)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"driftline keys: {error}\n")
        return 2
    return 0


def _make(arguments: argparse.Namespace) -> None:
    file: Path = arguments.file
    key, stored = make_key(arguments.name, AccessRole(arguments.role), arguments.until)
    if stored.name in _keys(file):
        raise ValueError(
            f"{file}: there is a key {stored.name} already; revoke it, or choose another name, so that both are good until everybody has the new one"
        )
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    _write(file, [*lines, stored.line])
    sys.stdout.write(f"{key}\n")
    sys.stderr.write(f"The key is not shown again. It has the role {stored.role} as soon as {file} is read, within a second.\n")


def _list(arguments: argparse.Namespace) -> None:
    for key in read_keys(arguments.file).values():
        sys.stdout.write(f"{key.name} {key.role}{f' until {key.last_day}' if key.last_day else ''}\n")


def _revoke(arguments: argparse.Namespace) -> None:
    file: Path = arguments.file
    if arguments.name not in read_keys(file):
        raise ValueError(f"{file}: there is no key {arguments.name}; `driftline keys list` says which there are")
    _write(file, [line for line in file.read_text(encoding="utf-8").splitlines() if line.split()[:1] != [arguments.name]])


def _keys(file: Path) -> dict[str, StoredKey]:
    return read_keys(file) if file.exists() else {}


def _write(file: Path, lines: list[str]) -> None:
    """Replace the file at once, so that nobody reads a half; it keeps its mode and, where that is possible, its owner."""
    before = file.stat() if file.exists() else None
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as out:
        if before:
            with suppress(PermissionError):
                os.fchown(fd, before.st_uid, before.st_gid)
            os.fchmod(fd, before.st_mode & 0o777)
        out.write("".join(f"{line}\n" for line in lines))
        out.flush()
        os.fsync(fd)
    new.replace(file)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2027-01-31, found {text!r}") from None
