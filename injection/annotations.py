"""What a pod may ask for, declared as settings are: the annotation of `upstream_port` is `driftline.dev/upstream-port`."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, ClassVar, Final, Self

import msgspec

from config.declare import Section, declarations, setting
from config.quantities import Cores, Memory
from config.redaction import Capture
from config.units import Budget, QuantityError
from injection.pod import PREFIX, SETTINGS_ANNOTATION, WARNINGS_ANNOTATION

_PORT_NAME: Final = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
"""RFC 6335 §5.1."""
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARGUMENT: Final = re.compile(r"--?[A-Za-z][A-Za-z0-9_.-]*")
_LONGEST: Final = 64 * 1024
"""Characters of one annotation. Kubernetes has 256 KiB for all of a pod's."""


class PortRef(msgspec.Struct, frozen=True):
    """A port by its number or by its name."""

    value: int | str

    UNIT: ClassVar = "port"
    EXPECTED: ClassVar = "a port from 1 to 65535, or a port's name"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a port."""
        text = text.strip()
        if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536:
            return cls(int(text))
        if len(text) > 15 or not _PORT_NAME.fullmatch(text):
            raise QuantityError(cls.EXPECTED, text, "8080")
        return cls(text)

    def __str__(self) -> str:
        return str(self.value)


class Name(str):
    """The name of a variable of the environment."""

    __slots__ = ()
    UNIT: ClassVar = "name"
    EXPECTED: ClassVar = "the name of an environment variable"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name."""
        if not _VARIABLE.fullmatch(text):
            raise QuantityError(cls.EXPECTED, text, "PORT")
        return cls(text)


class Argument(str):
    """The name of a command's option."""

    __slots__ = ()
    UNIT: ClassVar = "option"
    EXPECTED: ClassVar = "an option of the service's command, with its dashes"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an option."""
        if not _ARGUMENT.fullmatch(text):
            raise QuantityError(cls.EXPECTED, text, "--http_port")
        return cls(text)


class RawYaml(str):
    """YAML that is read where it is used."""

    __slots__ = ()
    UNIT: ClassVar = "YAML"
    EXPECTED: ClassVar = "YAML"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take any text."""
        return cls(text)


class Annotations(Section, frozen=True):
    """What a pod asks for."""

    upstream_port: Annotated[
        PortRef | None,
        setting(
            "The port that the service listens on. By default the only one that the pod declares, else the one named `http`, `http1` or `user-port`.",
            example="8080",
        ),
    ] = None
    listen_port: Annotated[
        int | None,
        setting(
            "Where Driftline listens, where it takes over a port's name; by default 18080, or the next number that is free.",
            unit="port",
            example="18080",
            at_least="1024",
            at_most="65535",
        ),
    ] = None
    app_port_env: Annotated[
        Name | None,
        setting(
            "The environment variable that tells the service its port. Driftline then takes over the port's number, and the service gets another one.",
            example="PORT",
        ),
    ] = None
    app_port_argument: Annotated[Argument | None, setting("The same, by an option in the container's `args`.", example="--http_port")] = None
    routes: Annotated[
        RawYaml,
        setting(
            "Which requests go where: a list as `routes` in docs/settings.md has it, in which `upstream` is the service unless it says otherwise.",
            example="[{path: /v2/models/fraud, model: fraud, shadows: [{url: http://candidate, share: 25%}]}]",
        ),
    ] = RawYaml("")
    shadows: Annotated[
        str,
        setting(
            "Models that get a copy of the traffic: URLs, each with a share behind it, spaces between; for routes that name none.",
            example="http://candidate:8080@25%",
        ),
    ] = ""
    capture: Annotated[
        Capture | None, setting("What is kept of exchanges: `both`, `request`, `response`, `heads` or `off`; for routes that do not say.", example="heads")
    ] = None
    budget: Annotated[Budget | None, setting("How often a false alert is acceptable.", example="1 per 30 days")] = None
    proxy_cpu: Annotated[Cores | None, setting("CPU that the data plane reserves.", example="50m", at_least="1m")] = None
    proxy_memory: Annotated[Memory | None, setting("Memory that it reserves, and uses at most.", example="128Mi", at_least="48Mi")] = None
    monitor_cpu: Annotated[Cores | None, setting("CPU that the watching side reserves.", example="100m", at_least="1m")] = None
    monitor_memory: Annotated[Memory | None, setting("Memory that it reserves, and uses at most.", example="1Gi", at_least="256Mi")] = None


def annotation(name: str) -> str:
    """Return a setting's name as the annotation's.

    >>> annotation("upstream_port")
    'driftline.dev/upstream-port'
    """
    return PREFIX + name.replace("_", "-")


def read_annotations(found: dict[str, str]) -> tuple[Annotations, list[str]]:
    """Return what is asked for, and what is wrong with it, a sentence each."""
    known = {annotation(name): declaration for name, declaration in declarations(Annotations).items()}
    values, problems = {}, []
    for name, text in found.items():
        declaration = known.get(name)
        if declaration is None:
            if name.startswith(PREFIX) and name not in {SETTINGS_ANNOTATION, WARNINGS_ANNOTATION}:
                problems.append(f"{name}: expected a known annotation; {_hint(name, list(known))}")
            continue
        if len(text) > _LONGEST:
            problems.append(f"{name}: expected at most {_LONGEST} characters, found {len(text)}")
            continue
        try:
            values[declaration.name] = declaration.parse(text)
        except QuantityError as error:
            problems.append(f"{name}: {error}")
    return Annotations(**values), problems


def _hint(name: str, known: list[str]) -> str:
    likely = get_close_matches(name, known, n=1)
    return f"did you mean {likely[0]}?" if likely else "docs/annotations.md has them all"
