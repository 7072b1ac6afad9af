"""API keys: made once, kept as hashes in a file.

A key is `dl_NAME_SECRET`: the prefix lets scanners of leaked secrets know it, the name tells whose it is, and the secret has 256 random bits. These cannot be
guessed, unlike passwords: so SHA-256 is enough, and scrypt would only make each request dear.

The file has a line per key, `NAME ROLE sha256:HASH [LAST-DAY]`, and comments after `#`. `driftline keys` writes it; so can any tool that keeps settings.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import re
import secrets
import stat
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from config.files import stamp_of
from records.access import AccessRole, Identity

AUTHORIZATION: Final = b"authorization"

_log: Final = logging.getLogger(__name__)

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_KEY: Final = re.compile(rb"dl_(%b)_[A-Za-z0-9_-]{43}" % NAME.pattern.encode())
_SECRET_BYTES: Final = 32
_FIELDS: Final = "NAME ROLE sha256:HASH [LAST-DAY]"
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_NOBODY: Final = bytes(hashlib.sha256().digest_size)


class StoredKey:
    """What is kept of a key: whose it is, its role, the SHA-256 of the whole key, and the last day on which it is good, in UTC."""

    def __init__(self, name: str, role: AccessRole, digest: bytes, last_day: date | None = None) -> None:
        self.name = name
        self.role = role
        self.digest = digest
        self.last_day = last_day
        self.ends_at = math.inf if last_day is None else datetime.combine(last_day + timedelta(days=1), time(), UTC).timestamp()
        self.identity = Identity(name, frozenset({role}), AUTHORIZATION)

    @property
    def line(self) -> str:
        """As it stands in the file."""
        return " ".join(filter(None, (self.name, self.role.value, f"sha256:{self.digest.hex()}", self.last_day.isoformat() if self.last_day else "")))


def make_key(name: str, role: AccessRole, last_day: date | None = None) -> tuple[str, StoredKey]:
    """Return a new key, which is known to nobody else, and what is to be kept of it. Raises ValueError for a name that no key can have."""
    if not NAME.fullmatch(name):
        raise ValueError(f"expected a name of small letters, digits and -, at most 40 of them, found {name!r}; for example: prometheus")
    key = f"dl_{name}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key, StoredKey(name, role, hashlib.sha256(key.encode()).digest(), last_day)


def is_key(text: bytes) -> bool:
    """Return whether this is a key by its form, good or not."""
    return _KEY.fullmatch(text) is not None


def read_keys(file: Path) -> dict[str, StoredKey]:
    """Return the keys of a file by name. Raises ValueError, with a sentence for the user, for one that cannot be read or that anybody may write."""
    try:
        text = file.read_text(encoding="utf-8")
        mode = file.stat().st_mode
    except OSError as error:
        raise ValueError(f"{file}: expected a file of keys (access.keys), found: {error.strerror}; make one with `driftline keys make`") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file}: expected lines {_FIELDS}, found what is not text") from None
    if mode & stat.S_IWOTH:
        raise ValueError(f"{file}: expected a file of keys that not everybody can write, for whoever does makes keys; chmod o-w {file}")
    found: dict[str, StoredKey] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if fields:
            key = _stored(fields, f"{file}:{number}")
            if key.name in found:
                raise ValueError(f"{file}:{number}: expected each name once, found {key.name} again")
            found[key.name] = key
    return found


class KeyFile:
    """The keys of a file, which is read again when it changes: a revoked key is good for a second more. Raises ValueError as `read_keys` does, at first."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stamp = stamp_of([file])
        self._keys = read_keys(Path(file))

    def find(self, key: bytes, now: float) -> StoredKey | None:
        """Return what is known of a key that is good at this Unix time; None where it is not."""
        found = _KEY.fullmatch(key)
        stored = self._keys.get(found[1].decode()) if found else None
        # How long the comparison takes tells neither how much of a hash was right nor whether the name is known.
        right = hmac.compare_digest(hashlib.sha256(key).digest(), stored.digest if stored else _NOBODY)
        return stored if stored and right and now < stored.ends_at else None

    def refresh(self) -> None:
        """Take the file again where it has changed; where it is of no use, say so once and go on with the keys that there are."""
        stamp = stamp_of([self._file])
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(Path(self._file))
        except ValueError as error:
            _log.error("the changed keys are not taken, the old ones stay: %s", error)
        else:
            _log.info("%d keys are good from now on, by the changed file %s", len(self._keys), self._file)


def _stored(fields: list[str], where: str) -> StoredKey:
    """Return the key of a line. What is found is not repeated: it could be the secret itself."""
    name, role, digest, last_day = [*fields, "", "", ""][:4]
    hexadecimal = _HASH.fullmatch(digest)
    if len(fields) > 4 or not NAME.fullmatch(name) or role not in set(AccessRole) or hexadecimal is None:
        raise ValueError(f"{where}: expected {_FIELDS} with a role of {', '.join(AccessRole)}; make one with `driftline keys make`")
    try:
        return StoredKey(name, AccessRole(role), bytes.fromhex(hexadecimal[1]), date.fromisoformat(last_day) if last_day else None)
    except ValueError:
        raise ValueError(f"{where}: expected a last day such as 2027-01-31") from None
