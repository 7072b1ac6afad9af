"""Which of the pod's ports is the service's, and how Driftline comes to stand before it. Nothing of the network is changed, so no capability is needed.

By name: what listens on the port named `http` is found by that name, so the name gets Driftline's number. It stays on the service's own container,
since Services look only at those until Kubernetes 1.33 (kubernetes/kubernetes#128850). The service itself is left as it is.

By number: Driftline listens on the service's number, and the service is told another one, by an environment variable or an option of its command.

Either way the service's own probes and hooks go to the service.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec

from injection.annotations import Annotations, annotation
from injection.operations import Operation, append, replace
from injection.pod import Container, Pod, PortName

LISTEN_PORT: Final = 18080
ADMIN_PORT: Final = 18081
APP_PORT: Final = 18082
"""The first numbers that are tried."""

OWN_PORT_NAME: Final = "driftline"
"""Of the port by which Services find Driftline where the service's has no name."""

_USUAL_NAMES: Final = ("http", "http1", "user-port")
"""The last two are KServe's and Knative's."""
_UNPRIVILEGED: Final = 1024

_REACHED_BY_NUMBER: Final = ("serving.kserve.io/inferenceservice", "serving.knative.dev/revision")
"""Labels of pods whose Services and queue-proxies are made by others, for a port's number."""
_HANDED_ON: Final = "SERVING_READINESS_PROBE"
_KSERVE_CONTAINER: Final = "kserve-container"
_KSERVE_PORT: Final = 8080
"""Where KServe sends requests to containers that declare no port, as those of its own runtimes."""


class NotInjectedError(Exception):
    """Driftline cannot stand before this pod's service; the text is a sentence that says why, and what to do."""


class Found(NamedTuple):
    """The service's port."""

    number: int
    container: int | None = None
    """The container that listens there, by its place; None where that is not known."""
    port: int | None = None
    """Its place among this container's ports; None where it is not declared."""
    name: str = ""


class Position(NamedTuple):
    """Where Driftline stands, and what must change for that."""

    listen: int
    app: int
    operations: list[Operation]
    warnings: list[str]


def position(pod: Pod, asked: Annotations, taken: set[int]) -> Position:
    """Return where Driftline stands; the numbers that it needs are added to those `taken`. Raises NotInjectedError."""
    found = _find(pod, asked)
    taken.add(found.number)
    if asked.app_port_env or asked.app_port_argument:
        return _by_number(pod, asked, found, taken)
    if not set(_REACHED_BY_NUMBER).isdisjoint(pod.labels):
        raise NotInjectedError(
            f"KServe and Knative send requests to port {found.number} by its number: say how the service is told its port, "
            f"for example: {annotation('app_port_argument')}: --http_port"
        )
    if asked.listen_port in taken:
        raise NotInjectedError(f"{annotation('listen_port')}: expected a port that is free, found {asked.listen_port}, which a container of the pod has")
    listen = asked.listen_port or free_port(LISTEN_PORT, taken)
    taken.add(listen)
    if found.container is None or found.port is None:
        reached = f"port {found.number} is declared by no container: point Services to port {listen}, else they go past Driftline"
        return Position(listen, found.number, [], [reached])
    place = f"/spec/containers/{found.container}"
    container = pod.spec.containers[found.container]
    if not found.name:
        declared = append(f"{place}/ports", container.ports, [{"name": OWN_PORT_NAME, "containerPort": listen, "protocol": "TCP"}])
        reached = (
            f"port {found.number} has no name: point Services to targetPort {OWN_PORT_NAME}, else they go past Driftline; "
            f"or have it take over the number with {annotation('app_port_env')} or {annotation('app_port_argument')}"
        )
        return Position(listen, found.number, declared, [reached])
    moved = replace(f"{place}/ports/{found.port}/containerPort", listen)
    return Position(listen, found.number, [moved, *_redirected(container, place, {found.name}, found.number)], [])


def free_port(first: int, taken: set[int]) -> int:
    """Return the first number from `first` on that is not taken."""
    return next(number for number in range(first, 65536) if number not in taken)


def _by_number(pod: Pod, asked: Annotations, found: Found, taken: set[int]) -> Position:
    if found.number < _UNPRIVILEGED:
        raise NotInjectedError(f"port {found.number} can be taken over only by root, which Driftline does not run as; have the service listen from 1024 on")
    index = found.container
    if index is None:
        raise NotInjectedError(f"port {found.number} is declared by no container: expected it among the ports of the service's, to know which one to tell")
    container, place = pod.spec.containers[index], f"/spec/containers/{index}"
    app = free_port(APP_PORT, taken)
    taken.add(app)
    told = _tell_by_variable(container, place, asked.app_port_env, app) if asked.app_port_env else []
    told += _tell_by_argument(container, place, asked.app_port_argument, app) if asked.app_port_argument else []
    redirected = _redirected(container, place, {found.name or found.number, found.number}, app)
    return Position(found.number, app, [*told, *redirected, *_handed_on(pod, found.number, app)], [])


def _find(pod: Pod, asked: Annotations) -> Found:
    declared = [
        Found(port.container_port, index, place, port.name or "")
        for index, container in enumerate(pod.spec.containers)
        for place, port in enumerate(container.ports or ())
        if port.is_tcp
    ]
    wanted = asked.upstream_port.value if asked.upstream_port else None
    if _REACHED_BY_NUMBER[0] in pod.labels and wanted is None:
        declared = [found for found in declared if found.container == _likely(pod)]  # not KServe's agent's
    if isinstance(wanted, int):
        return next((found for found in declared if found.number == wanted), Found(wanted, _likely(pod)))
    names = _USUAL_NAMES if wanted is None else (wanted,)
    named = [found for name in names for found in declared if found.name == name]
    if named:
        return named[0]
    shown = ", ".join(f"{found.name} ({found.number})" if found.name else str(found.number) for found in declared[:10]) or "none"
    if wanted is not None:
        raise NotInjectedError(f"{annotation('upstream_port')}: expected a TCP port of the pod, found {wanted!r}; it has: {shown}")
    if not declared and _REACHED_BY_NUMBER[0] in pod.labels:
        return Found(_KSERVE_PORT, _likely(pod))
    if len(declared) != 1:
        raise NotInjectedError(f"expected one TCP port, found {shown}; say which one is the service's, for example: {annotation('upstream_port')}: '8080'")
    return declared[0]


def _likely(pod: Pod) -> int | None:
    """Return which container a port belongs to that none declares."""
    names = [container.name for container in pod.spec.containers]
    if _KSERVE_CONTAINER in names:
        return names.index(_KSERVE_CONTAINER)
    return 0 if len(names) == 1 else None


def _redirected(container: Container, place: str, ports: set[PortName], app: int) -> Iterator[Operation]:
    """Yield what lets probes and hooks that go to one of these ports go to the service."""
    for where, handler in container.handlers().items():
        for name, target in handler.targets().items():
            if target.port in ports and target.port != app:
                yield replace(f"{place}{where}/{name}/port", app)


def _handed_on(pod: Pod, number: int, app: int) -> Iterator[Operation]:
    """Yield what lets the service's readiness probe go to it where Knative's queue-proxy, or KServe's agent, has it in a variable.

    Driftline listens earlier than the service, and would pass the probe in its place.
    """
    for index, container in enumerate(pod.spec.containers):
        for place, variable in enumerate(container.env or ()):
            if variable.name != _HANDED_ON or not variable.value:
                continue
            with suppress(msgspec.DecodeError, RecursionError):
                probe = msgspec.json.decode(variable.value, type=dict[str, Any])
                targets = [target for target in probe.values() if isinstance(target, dict) and target.get("port") == number]
                for target in targets:
                    target["port"] = app
                if targets:
                    yield replace(f"/spec/containers/{index}/env/{place}/value", msgspec.json.encode(probe).decode())


def _tell_by_variable(container: Container, place: str, name: str, app: int) -> list[Operation]:
    variable = {"name": name, "value": str(app)}
    index = next((index for index, known in enumerate(container.env or ()) if known.name == name), None)
    return append(f"{place}/env", container.env, [variable]) if index is None else [replace(f"{place}/env/{index}", variable)]


def _tell_by_argument(container: Container, place: str, option: str, app: int) -> list[Operation]:
    """Set the option to another value: `--port=1`, `--port 1`, or where it is not there yet, behind the others."""
    if not container.args:
        raise NotInjectedError(
            f"{annotation('app_port_argument')}: expected args of the container {container.name!r}, found none; write out the command's own, with {option}"
        )
    for index, argument in enumerate(container.args):
        if argument.startswith(f"{option}="):
            return [replace(f"{place}/args/{index}", f"{option}={app}")]
        if argument == option and index + 1 < len(container.args):
            return [replace(f"{place}/args/{index + 1}", str(app))]
    return append(f"{place}/args", container.args, [f"{option}={app}"])
