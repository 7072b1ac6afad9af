"""CPU and memory of containers, as Kubernetes writes them: `100m`, `0.5`, `64Mi`.

As in `config.units`, `parse` reads what `str` writes, and raises `QuantityError`. Kubernetes takes more forms (`1e3`, `Ki` of a byte's
thousandth …); these are the ones that people write.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final, Self

from config.units import QuantityError

_CORES: Final = re.compile(r"(?P<milli>\d{1,6})m|(?P<whole>\d{1,3})(?:\.(?P<part>\d{1,3}))?", re.ASCII)
_MEMORY: Final = re.compile(r"(?P<number>\d{1,15})(?P<unit>Ki|Mi|Gi|Ti|k|M|G|T|)", re.ASCII)


class Cores(int):
    """CPU in thousandths of a core.

    >>> Cores.parse("0.25") + 0, str(Cores(1500))
    (250, '1500m')
    """

    __slots__ = ()
    UNIT: ClassVar = "cpu"
    EXPECTED: ClassVar = "CPU cores, or thousandths of one with m"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a number of cores."""
        found = _CORES.fullmatch(text.strip())
        if found is None:
            raise QuantityError(cls.EXPECTED, text, "100m")
        return cls(found["milli"]) if found["milli"] else cls(int(found["whole"]) * 1000 + int((found["part"] or "").ljust(3, "0")))

    def __str__(self) -> str:
        return f"{int(self)}m" if self % 1000 else f"{self // 1000}"


class Memory(int):
    """Memory in bytes.

    >>> Memory.parse("64Mi") + 0, str(Memory(1 << 30)), str(Memory(500_000))
    (67108864, '1Gi', '500k')
    """

    __slots__ = ()
    UNIT: ClassVar = "memory"
    EXPECTED: ClassVar = "an amount of memory (Ki, Mi, Gi, Ti; k, M, G, T)"
    _UNITS: ClassVar[dict[str, int]] = {"Ti": 1 << 40, "Gi": 1 << 30, "Mi": 1 << 20, "Ki": 1 << 10, "T": 10**12, "G": 10**9, "M": 10**6, "k": 10**3, "": 1}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an amount of memory."""
        found = _MEMORY.fullmatch(text.strip())
        if found is None:
            raise QuantityError(cls.EXPECTED, text, "64Mi")
        return cls(int(found["number"]) * cls._UNITS[found["unit"]])

    def __str__(self) -> str:
        unit, size = next((unit, size) for unit, size in self._UNITS.items() if size == 1 or (self and self % size == 0))
        return f"{self // size}{unit}"
