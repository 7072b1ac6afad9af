"""Secret keys, and where they are kept: never in the settings themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar, Final, Self

import msgspec

from config.units import QuantityError

_KEY: Final = re.compile(r"(?P<name>[A-Za-z0-9_-]{1,40})=(?:file:(?P<file>[^,]+)|env:(?P<variable>[A-Za-z_][A-Za-z0-9_]*))")
_LEAST_KEY_BYTES: Final = 16


class Secret(msgspec.Struct, frozen=True):
    """A secret by its name, and where it is kept: `NAME=file:/path` or `NAME=env:VARIABLE`.

    >>> Secret.parse("2026-11=file:/run/secrets/hash.key")
    Secret(name='2026-11', file='/run/secrets/hash.key', variable='')
    """

    name: str
    file: str = ""
    variable: str = ""

    UNIT: ClassVar = "name=source"
    EXPECTED: ClassVar = "a name and where the key is, NAME=file:/PATH or NAME=env:VARIABLE"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key's name and source."""
        found = _KEY.fullmatch(text.strip())
        if found is None:
            raise QuantityError(cls.EXPECTED, text, "2026-11=file:/etc/driftline/hash.key")
        return cls(found["name"], found["file"] or "", found["variable"] or "")

    def __str__(self) -> str:
        return f"{self.name}=file:{self.file}" if self.file else f"{self.name}=env:{self.variable}"

    def secret(self) -> bytes:
        """Return the key itself, without white space around it. Raises ValueError with a sentence for the user."""
        where = f"the file {self.file}" if self.file else f"the environment variable {self.variable}"
        try:
            found = Path(self.file).read_bytes() if self.file else os.environb.get(self.variable.encode(), b"")
        except OSError as error:
            raise ValueError(f"the key {self.name} cannot be read from {where}: {error.strerror}") from None
        key = found.strip()
        if len(key) < _LEAST_KEY_BYTES:
            raise ValueError(f"the key {self.name} in {where} has {len(key)} bytes and needs {_LEAST_KEY_BYTES}: make one with `openssl rand -hex 32`")
        return key
