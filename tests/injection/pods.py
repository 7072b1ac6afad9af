"""Pods as the API server shows them to a webhook: with its defaults, and with what the controllers add that make them."""

import copy
from typing import Any

TOKEN_VOLUME: dict[str, Any] = {
    "name": "kube-api-access-x7x2p",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ],
        "defaultMode": 420,
    },
}
TOKEN_MOUNT = {"name": TOKEN_VOLUME["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}


def probe(port: int | str, path: str = "/v2/health/ready") -> dict[str, Any]:
    timing = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}, **timing}


def container(name: str = "model", ports: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    made = {
        "name": name,
        "image": f"registry.example.com/{name}:3",
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
        "volumeMounts": [copy.deepcopy(TOKEN_MOUNT)],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        **more,
    }
    return made if ports is None else {**made, "ports": ports}


def port(number: int, name: str = "", protocol: str = "TCP", **more: Any) -> dict[str, Any]:
    return {"containerPort": number, "protocol": protocol, **({"name": name} if name else {}), **more}


def pod(
    *containers: dict[str, Any],
    owner: tuple[str, str] = ("apps/v1", "ReplicaSet"),
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "generateName": "fraud-7d9f6c5b8-",
        "namespace": "risk",
        "creationTimestamp": None,
        "labels": {"app": "fraud", "pod-template-hash": "7d9f6c5b8", "driftline.dev/inject": "true", **(labels or {})},
        "ownerReferences": [
            {
                "apiVersion": owner[0],
                "kind": owner[1],
                "name": "fraud-7d9f6c5b8",
                "uid": "0c6a7c3c-9d54-4f3a-8f0a-3f1f4a0a6c11",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if annotations is not None:
        metadata["annotations"] = annotations
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {
            "volumes": [copy.deepcopy(TOKEN_VOLUME)],
            "containers": list(containers or (container(ports=[port(9000, "http")], readinessProbe=probe("http")),)),
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "priority": 0,
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
            **spec,
        },
        "status": {},
    }


def deployment_pod(**more: Any) -> dict[str, Any]:
    return pod(**more)


def stateful_pod(**more: Any) -> dict[str, Any]:
    made = pod(owner=("apps/v1", "StatefulSet"), hostname="fraud-0", subdomain="fraud", **more)
    made["metadata"] = {**made["metadata"], "name": "fraud-0", "generateName": "fraud-"}
    return made


def job_pod(**more: Any) -> dict[str, Any]:
    return pod(container(command=["python", "score.py"]), owner=("batch/v1", "Job"), **{"restartPolicy": "Never", **more})


def kserve_raw_pod(annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a predictor's as KServe's Deployments make it: its runtimes declare no port, and its Service sends to 8080."""
    model = container(
        "kserve-container",
        args=["--model_name=sklearn-iris", "--model_dir=/mnt/models", "--http_port=8080"],
        readinessProbe={"tcpSocket": {"port": 8080}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    )
    model["volumeMounts"].append({"name": "kserve-provision-location", "mountPath": "/mnt/models", "readOnly": True})
    storage = {
        "name": "storage-initializer",
        "image": "kserve/storage-initializer:v0.15.0",
        "args": ["gs://kfserving-examples/models/sklearn/1.0/model", "/mnt/models"],
        "volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/mnt/models"}],
    }
    return pod(
        model,
        labels={"serving.kserve.io/inferenceservice": "sklearn-iris", "component": "predictor", "app": "isvc.sklearn-iris-predictor"},
        annotations=annotations,
        initContainers=[storage],
        volumes=[copy.deepcopy(TOKEN_VOLUME), {"name": "kserve-provision-location", "emptyDir": {}}],
    )


def kserve_knative_pod(annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a predictor's as Knative makes it: a queue-proxy before it sends to the number of `user-port`."""
    model = container(
        "kserve-container",
        [port(8080, "user-port")],
        args=["--model_name=sklearn-iris", "--model_dir=/mnt/models", "--http_port=8080"],
        env=[{"name": "PORT", "value": "8080"}, {"name": "K_REVISION", "value": "sklearn-iris-predictor-00001"}],
        lifecycle={"preStop": {"httpGet": {"path": "/wait-for-drain", "port": 8022, "scheme": "HTTP"}}},
    )
    queue = container(
        "queue-proxy",
        [port(8022, "http-queueadm"), port(9090, "http-autometric"), port(9091, "http-usermetric"), port(8012, "queue-port"), port(8112, "https-port")],
        env=[
            {"name": "USER_PORT", "value": "8080"},
            {"name": "SERVING_READINESS_PROBE", "value": '{"tcpSocket":{"port":8080,"host":"127.0.0.1"},"successThreshold":1}'},
        ],
        readinessProbe=probe(8012, "/"),
    )
    labels = {"serving.kserve.io/inferenceservice": "sklearn-iris", "serving.knative.dev/revision": "sklearn-iris-predictor-00001", "component": "predictor"}
    return pod(model, queue, labels=labels, annotations=annotations)


def review(made: Any, operation: str = "CREATE") -> dict[str, Any]:
    """Return what the API server asks about a pod (admission.k8s.io/v1)."""
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "risk",
            "operation": operation,
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "a7e0ab33-5f29-11e8-8a3c-36e6bb280816",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            },
            "object": made,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }
