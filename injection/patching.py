"""A pod to operations and warnings: all that injection decides, without I/O."""

from __future__ import annotations

from typing import Final, NamedTuple

from config.load import ConfigError
from config.settings import InjectorSettings
from injection.annotations import Annotations, read_annotations
from injection.containers import DATA_VOLUME, MONITOR, PROXY, SECRET_VOLUME, SETTINGS_VOLUME, containers, volumes
from injection.operations import Operation, add_members, append
from injection.pod import INJECT_LABEL, SETTINGS_ANNOTATION, WARNINGS_ANNOTATION, Pod
from injection.settings_text import Base
from injection.upstream import ADMIN_PORT, NotInjectedError, free_port, position

_MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"
"""The kubelet's copies of static pods, which cannot be changed."""


class Injection(NamedTuple):
    """What the injector is told."""

    settings: InjectorSettings
    base: Base


class Patch(NamedTuple):
    """What becomes of a pod: nothing where there are no operations."""

    operations: list[Operation]
    warnings: list[str]
    injected: bool = False


def patch(pod: Pod, injection: Injection, *, asked: bool = False) -> Patch:
    """Return what brings Driftline into a pod. One that has it already, or says that it wants none, stays as it is; so does one that it cannot stand before, with a warning.

    `asked` is whether somebody asks for this very pod, whose label may not say so; else one that serves nothing gets no warning.
    """
    if is_injected(pod) or pod.labels.get(INJECT_LABEL) == "false" or _MIRROR_ANNOTATION in pod.annotations:
        return Patch([], [])
    try:
        return _injected(pod, injection)
    except (NotInjectedError, ConfigError) as error:
        if not asked and not _asks(pod) and not any(container.ports for container in pod.spec.containers):
            return Patch([], [])  # its namespace was chosen
        warning = f"Driftline is not injected: {error}"
        return Patch([] if pod.annotations.get(WARNINGS_ANNOTATION) == warning else _annotated(pod, {WARNINGS_ANNOTATION: warning}), [warning])


def is_injected(pod: Pod) -> bool:
    """Whether Driftline's containers are there, put there by this or by somebody's own manifest."""
    return not {PROXY, MONITOR}.isdisjoint(container.name for container in pod.all_containers)


def _asks(pod: Pod) -> bool:
    """Whether the pod itself asks for Driftline, by its label or an annotation."""
    return pod.labels.get(INJECT_LABEL) == "true" or read_annotations(pod.annotations) != (Annotations(), [])


def _require_possible(pod: Pod, settings: InjectorSettings) -> None:
    """Raise NotInjectedError where Driftline cannot be in the pod."""
    spec = pod.spec
    if spec.host_network:
        raise NotInjectedError("the pod is in its node's network (hostNetwork), where other pods may have the same ports")
    if spec.os is not None and spec.os.name not in {None, "linux"}:
        raise NotInjectedError(f"the pod runs on {spec.os.name}, and Driftline on Linux only")
    if not settings.native_sidecars and spec.restart_policy in {"Never", "OnFailure"}:
        raise NotInjectedError("the pod is to end (restartPolicy), which a container that is no native sidecar would keep it from (injector.native_sidecars)")
    clashing = {DATA_VOLUME, SETTINGS_VOLUME, SECRET_VOLUME} & {volume.name for volume in spec.volumes or ()}
    if clashing:
        raise NotInjectedError(f"the pod has a volume named {min(clashing)} already")


def _injected(pod: Pod, injection: Injection) -> Patch:
    asked, problems = read_annotations(pod.annotations)
    if problems:
        raise NotInjectedError("; ".join(problems))
    _require_possible(pod, injection.settings)
    settings, native = injection.settings, injection.settings.native_sidecars
    taken = pod.ports
    stands = position(pod, asked, taken)
    admin = free_port(ADMIN_PORT, taken)
    text = injection.base.checked_text(asked, stands.listen, stands.app, admin)
    ours = containers(settings, asked, stands.listen, admin, native=native)
    operations = [
        *stands.operations,
        *append("/spec/initContainers" if native else "/spec/containers", pod.spec.init_containers if native else pod.spec.containers, ours),
        *append("/spec/volumes", pod.spec.volumes, volumes(settings)),
        *_annotated(pod, {SETTINGS_ANNOTATION: text, **({WARNINGS_ANNOTATION: "; ".join(stands.warnings)} if stands.warnings else {})}),
    ]
    return Patch(operations, stands.warnings, injected=True)


def _annotated(pod: Pod, annotations: dict[str, str]) -> list[Operation]:
    if pod.metadata is None:  # the template of a Job needs none
        return [Operation("add", "/metadata", {"annotations": annotations})]
    return add_members("/metadata/annotations", pod.metadata.annotations, annotations)
