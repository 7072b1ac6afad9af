"""What is read of a pod (core/v1). Everything else of it is left alone, and unknown to this code.

A field that is null means the same as one that is not there, as in Kubernetes.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

PREFIX: Final = "driftline.dev/"
"""Of our labels and annotations."""

INJECT_LABEL: Final = f"{PREFIX}inject"
SETTINGS_ANNOTATION: Final = f"{PREFIX}settings"
"""What the Driftline in the pod is told; the containers read it as a file."""
WARNINGS_ANNOTATION: Final = f"{PREFIX}warnings"
"""What went wrong: people who make Deployments never see what is answered to the controller that makes their pods."""

PortName: TypeAlias = int | str


class _Read(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Port(_Read, frozen=True):
    """A port of a container."""

    container_port: int
    name: str | None = None
    protocol: str | None = None

    @property
    def is_tcp(self) -> bool:
        """Whether HTTP may be spoken on it."""
        return self.protocol in {None, "", "TCP"}


class Target(_Read, frozen=True):
    """What a probe or a hook connects to."""

    port: PortName


class Handler(_Read, frozen=True):
    """What a probe or a hook does."""

    http_get: Target | None = None
    tcp_socket: Target | None = None
    grpc: Target | None = None

    def targets(self) -> dict[str, Target]:
        """Return what it connects to, by the field's name."""
        named = {"httpGet": self.http_get, "tcpSocket": self.tcp_socket, "grpc": self.grpc}
        return {name: target for name, target in named.items() if target is not None}


class Lifecycle(_Read, frozen=True):
    """Hooks."""

    post_start: Handler | None = None
    pre_stop: Handler | None = None


class Variable(_Read, frozen=True):
    """A variable of the environment."""

    name: str
    value: str | None = None


class Container(_Read, frozen=True):
    """A container."""

    name: str
    args: list[str] | None = None
    env: list[Variable] | None = None
    ports: list[Port] | None = None
    liveness_probe: Handler | None = None
    readiness_probe: Handler | None = None
    startup_probe: Handler | None = None
    lifecycle: Lifecycle | None = None

    def handlers(self) -> dict[str, Handler]:
        """Return its probes and hooks, by their place in the container."""
        hooks = self.lifecycle or Lifecycle()
        named = {
            "/livenessProbe": self.liveness_probe,
            "/readinessProbe": self.readiness_probe,
            "/startupProbe": self.startup_probe,
            "/lifecycle/postStart": hooks.post_start,
            "/lifecycle/preStop": hooks.pre_stop,
        }
        return {place: handler for place, handler in named.items() if handler is not None}


class Named(_Read, frozen=True):
    """A volume."""

    name: str


class System(_Read, frozen=True):
    """The operating system that a pod says it needs."""

    name: str | None = None


class Spec(_Read, frozen=True):
    """What runs."""

    containers: list[Container]
    init_containers: list[Container] | None = None
    volumes: list[Named] | None = None
    host_network: bool | None = None
    restart_policy: str | None = None
    os: System | None = None


class Metadata(_Read, frozen=True):
    """Who it is."""

    name: str | None = None
    generate_name: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Pod(_Read, frozen=True):
    """A pod, or the template of one."""

    spec: Spec
    metadata: Metadata | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return (self.metadata and self.metadata.labels) or {}

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return (self.metadata and self.metadata.annotations) or {}

    @property
    def all_containers(self) -> list[Container]:
        """Those that start first, too."""
        return [*self.spec.containers, *(self.spec.init_containers or ())]

    @property
    def ports(self) -> set[int]:
        """The numbers that its containers say they listen on."""
        return {port.container_port for container in self.all_containers for port in container.ports or ()}


def read_pod(found: Any) -> Pod:
    """Return what is read of a pod, from decoded JSON or YAML. Raises ValueError with a sentence that says where it is none."""
    try:
        return msgspec.convert(found, Pod)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a pod: {error}") from None
