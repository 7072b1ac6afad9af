"""The containers and volumes that pods get.

The data plane and the watching side are two containers, so that one that is killed for its memory leaves the other alone; both have the spool's
volume. What they are told lies in an annotation, which the kubelet shows them as a file: a webhook may make no ConfigMap.
"""

from __future__ import annotations

from typing import Any, Final

from config.quantities import Cores, Memory
from config.settings import InjectorSettings
from injection.annotations import Annotations
from injection.pod import SETTINGS_ANNOTATION
from injection.settings_text import MOUNT

PROXY: Final = "driftline"
MONITOR: Final = "driftline-monitor"
ADMIN_PORT_NAME: Final = "driftline-admin"

DATA_VOLUME: Final = "driftline-data"
SETTINGS_VOLUME: Final = "driftline-settings"
SECRET_VOLUME: Final = "driftline-secrets"  # noqa: S105 - a volume's name

_USER: Final = 10001
"""The images' own."""
_DIRECTORY: Final = "/etc/driftline"
_FILE: Final = "driftline.yaml"
_LAST_REQUESTS_SECONDS: Final = 5
"""How long the cluster may take until it sends a pod that ends no more requests; containers that are no sidecars are told to stop at once."""


def containers(settings: InjectorSettings, asked: Annotations, listen: int, admin: int, *, native: bool) -> list[dict[str, Any]]:
    """Return both, the monitor first: native sidecars stop in reverse, and the monitor brings the proxy's last records into the store."""
    proxy = _container(PROXY, settings.proxy_image, "proxy", asked.proxy_cpu or settings.proxy_cpu, asked.proxy_memory or settings.proxy_memory)
    proxy["startupProbe"] = {"tcpSocket": {"port": listen}, "periodSeconds": 1, "failureThreshold": 60}
    proxy["readinessProbe"] = {"tcpSocket": {"port": listen}, "periodSeconds": 5}
    monitor = _container(MONITOR, settings.monitor_image, "monitor", asked.monitor_cpu or settings.monitor_cpu, asked.monitor_memory or settings.monitor_memory)
    monitor["ports"] = [{"name": ADMIN_PORT_NAME, "containerPort": admin, "protocol": "TCP"}]
    # No other probe: a pod whose watching side does not work yet serves all the same.
    health = {"path": "/healthz", "port": ADMIN_PORT_NAME}
    monitor["livenessProbe"] = {"httpGet": health, "initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}
    if settings.secret:
        for container in (proxy, monitor):
            container["volumeMounts"].append({"name": SECRET_VOLUME, "mountPath": f"{_DIRECTORY}/secrets", "readOnly": True})
    if native:
        return [{**container, "restartPolicy": "Always"} for container in (monitor, proxy)]
    proxy["lifecycle"] = {"preStop": {"exec": {"command": ["python", "-c", f"import time; time.sleep({_LAST_REQUESTS_SECONDS})"]}}}
    return [monitor, proxy]


def volumes(settings: InjectorSettings) -> list[dict[str, Any]]:
    """Return the pod's volumes for both."""
    shown = [{"path": _FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{SETTINGS_ANNOTATION}']"}}]
    made: list[dict[str, Any]] = [{"name": DATA_VOLUME, "emptyDir": {}}, {"name": SETTINGS_VOLUME, "downwardAPI": {"items": shown}}]
    if settings.secret:
        made.append({"name": SECRET_VOLUME, "secret": {"secretName": settings.secret, "optional": True}})
    return made


def _container(name: str, image: str, command: str, cpu: Cores, memory: Memory) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "args": [command, "--config", f"{_DIRECTORY}/settings/{_FILE}"],
        "env": [{"name": "TMPDIR", "value": MOUNT}],
        "resources": {"requests": {"cpu": str(cpu), "memory": str(memory)}, "limits": {"memory": str(memory)}},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": DATA_VOLUME, "mountPath": MOUNT},
            {"name": SETTINGS_VOLUME, "mountPath": f"{_DIRECTORY}/settings", "readOnly": True},
        ],
    }
