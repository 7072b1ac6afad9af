"""The Kustomize directories, as far as they can be held without a cluster: built by kubectl, and validated against Kubernetes's own schemas."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from alerts.prometheus.rules import rules_file
from config.load import load
from config.settings import InjectorSettings, Settings
from injection.manifests import inject_manifests
from injection.patching import Injection, patch
from injection.pod import INJECT_LABEL, read_pod
from injection.settings_text import Base
from records.metrics import Metric

KUBERNETES = Path(__file__).parents[2] / "deploy/kubernetes"
DIRECTORIES = sorted(str(file.parent.relative_to(KUBERNETES)) for file in KUBERNETES.rglob("kustomization.yaml"))
OF_OTHERS = {"cert-manager.io/v1", "keda.sh/v1alpha1", "monitoring.coreos.com/v1", "serving.kserve.io/v1beta1"}


def has_kustomize() -> bool:
    if shutil.which("kubectl") is None:
        return False
    said = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
    return re.search(r"Kustomize Version: v[5-9]", said) is not None


needs_kubectl = pytest.mark.skipif(not has_kustomize(), reason="no kubectl with Kustomize 5 here (Debian's is 1.20): https://kubernetes.io/docs/tasks/tools")


@cache
def built(directory: str) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / directory)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(directory: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in built(directory) if each["kind"] == kind]


@needs_kubectl
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_a_directory_makes_what_kubernetes_takes(directory: str) -> None:
    made = built(directory)
    assert made
    for each in made:
        if each["apiVersion"] not in OF_OTHERS:
            kubernetes_validate.validate(each, "1.33", strict=True)


@needs_kubectl
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_what_is_named_is_there(directory: str) -> None:
    """ConfigMaps that are mounted, roles that are bound, pods that are selected."""
    made = built(directory)
    there = {(each["kind"], each["metadata"]["name"]) for each in made}
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in made if "template" in each.get("spec", {}) and each["apiVersion"] not in OF_OTHERS]
    for each in made:
        if each["kind"].endswith("Binding"):
            assert (each["roleRef"]["kind"], each["roleRef"]["name"]) in there
        if each["kind"] == "HorizontalPodAutoscaler":
            assert (each["spec"]["scaleTargetRef"]["kind"], each["spec"]["scaleTargetRef"]["name"]) in there
        spec = each.get("spec", {})
        for volume in spec.get("template", {}).get("spec", {}).get("volumes", ()):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
        if each["kind"] in {"Service", "PodDisruptionBudget", "NetworkPolicy"}:
            chosen = spec["selector"] if each["kind"] == "Service" else (spec.get("selector") or spec["podSelector"])["matchLabels"]
            assert any(chosen.items() <= found.items() for found in labels), each


@needs_kubectl
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_driftlines_containers_need_no_rights_and_say_what_they_use(directory: str) -> None:
    for each in built(directory):
        pod = each.get("spec", {}).get("template", {}).get("spec", {})
        for container in [*pod.get("containers", ()), *pod.get("initContainers", ())]:
            if "driftline" in container["image"]:
                context = container["securityContext"]
                assert context["readOnlyRootFilesystem"]
                assert not context["allowPrivilegeEscalation"]
                assert context["capabilities"] == {"drop": ["ALL"]}
                assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
                assert "memory" in container["resources"]["limits"]


@needs_kubectl
@pytest.mark.parametrize("directory", ["injector", "injector-cert-manager"])
def test_the_webhook_never_keeps_a_pod_from_starting_and_never_asks_about_its_own(directory: str) -> None:
    (configuration,) = of_kind(directory, "MutatingWebhookConfiguration")
    for webhook in configuration["webhooks"]:
        assert (webhook["failurePolicy"], webhook["timeoutSeconds"], webhook["sideEffects"], webhook["reinvocationPolicy"]) == ("Ignore", 5, "None", "IfNeeded")
        (excluded,) = [each["values"] for each in webhook["namespaceSelector"]["matchExpressions"] if each["key"] == "kubernetes.io/metadata.name"]
        assert {"driftline-system", "kube-system"} <= set(excluded)


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """As the API server decides it."""
    listed = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return listed and all((labels.get(each["key"]) in each["values"]) is (each["operator"] == "In") for each in selector.get("matchExpressions", ()))


@needs_kubectl
@pytest.mark.parametrize(
    ("namespace", "pod", "asked"),
    [
        (None, None, 0),
        (None, "true", 1),
        ("true", None, 1),
        ("true", "true", 1),
        ("true", "false", 0),
        ("false", "true", 1),
    ],
)
def test_a_pod_is_asked_about_once_where_its_label_or_its_namespaces_says_so(namespace: str | None, pod: str | None, asked: int) -> None:
    (configuration,) = of_kind("injector", "MutatingWebhookConfiguration")
    of_namespace = {"kubernetes.io/metadata.name": "risk", **({INJECT_LABEL: namespace} if namespace else {})}
    of_pod = {"app": "fraud", **({INJECT_LABEL: pod} if pod else {})}
    webhooks = configuration["webhooks"]
    assert sum(matches(each["namespaceSelector"], of_namespace) and matches(each["objectSelector"], of_pod) for each in webhooks) == asked
    inside = {**of_namespace, "kubernetes.io/metadata.name": "driftline-system"}
    assert not any(matches(each["namespaceSelector"], inside) for each in webhooks)


@needs_kubectl
@pytest.mark.parametrize("directory", ["injector", "injector-cert-manager"])
def test_the_injectors_file_is_good_and_its_account_may_do_what_it_does(directory: str) -> None:
    (settings,) = of_kind(directory, "ConfigMap")
    Base(settings["data"]["injector.yaml"])
    rules = [rule for kind in ("Role", "ClusterRole") for each in of_kind(directory, kind) for rule in each["rules"]]
    may = {(verb, name) for rule in rules for verb in rule["verbs"] for name in rule.get("resourceNames", ("any",))}
    injector = "driftline-injector"
    own = {("create", "any"), ("get", f"{injector}-tls"), ("update", f"{injector}-tls"), ("get", injector), ("patch", injector)}
    assert may == (own if directory == "injector" else set())


def test_rules_and_the_injected_sidecar_are_what_the_code_makes() -> None:
    rules = yaml.safe_load((KUBERNETES / "monitoring/rules.yaml").read_text())
    assert rules["spec"] == yaml.safe_load(rules_file(Settings())), "run `make generate`"
    sidecar = KUBERNETES / "sidecar"
    injected = inject_manifests((sidecar / "app.yaml").read_text(), Injection(InjectorSettings(), Base()))
    assert (sidecar / "injected.yaml").read_text() == injected.text, "run `make generate`"


@pytest.mark.parametrize("file", sorted(KUBERNETES.glob("*/driftline.yaml")), ids=lambda file: file.parent.name)
def test_the_settings_are_good(file: Path) -> None:
    settings = load(file, routes_needed=False)
    assert settings.access.anonymous, "Prometheus shows nothing"


@needs_kubectl
def test_every_dashboard_is_a_config_map_that_grafana_finds() -> None:
    made = of_kind("monitoring", "ConfigMap")
    shown = {name: json.loads(text)["uid"] for each in made for name, text in each["data"].items()}
    assert shown.keys() == {file.name for file in (KUBERNETES.parents[1] / "grafana/dashboards").glob("*.json")}
    assert all(each["metadata"]["labels"]["grafana_dashboard"] == "1" and len(json.dumps(each)) < 1 << 20 for each in made)


@needs_kubectl
@pytest.mark.parametrize("directory", ["gateway", "monitor", "runtime", "sidecar"])
def test_prometheus_finds_the_admin_port_by_its_name(directory: str) -> None:
    monitor = next(each for each in of_kind("monitoring", "PodMonitor") if each["metadata"]["name"] == "driftline")
    looked_for = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
    pods = [each["spec"]["template"]["spec"] for each in built(directory) if "template" in each.get("spec", {})]
    containers = [container for pod in pods for container in (*pod["containers"], *pod.get("initContainers", ()))]
    there = {port["name"] for container in containers for port in container.get("ports", ())}
    assert looked_for & there == ({"driftline-admin", "driftline-onnx"} if directory == "runtime" else {"driftline-admin"})


@needs_kubectl
def test_the_runtime_is_scaled_by_a_metric_that_there_is() -> None:
    names = {metric.metric_name for metric in Metric}
    (scaled,) = of_kind("runtime-keda", "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    assert set(re.findall(r"driftline_\w+", trigger["metadata"]["query"])) <= names
    (by_hand,) = of_kind("runtime-hpa", "HorizontalPodAutoscaler")
    assert by_hand["spec"]["metrics"][0]["pods"]["metric"]["name"] in names
    assert scaled["spec"]["scaleTargetRef"]["name"] == by_hand["spec"]["scaleTargetRef"]["name"] == "driftline-runtime"
    rules = yaml.safe_load((KUBERNETES / "runtime-hpa/adapter-rules.yaml").read_text())["rules"]
    assert {rule["name"]["as"] for rule in rules} <= names


def test_kserves_example_asks_for_what_injection_understands() -> None:
    made = yaml.safe_load((KUBERNETES.parents[1] / "examples/kserve/sidecar.yaml").read_text())
    model = {"name": "kserve-container", "image": "x", "args": ["--model_name=x", "--http_port=8080"]}
    labels = {**made["metadata"]["labels"], "serving.kserve.io/inferenceservice": made["metadata"]["name"]}
    pod = read_pod({"metadata": {"labels": labels, "annotations": made["metadata"]["annotations"]}, "spec": {"containers": [model]}})
    found = patch(pod, Injection(InjectorSettings(), Base()))
    assert (found.injected, found.warnings) == (True, [])


@needs_kubectl
def test_kserves_logger_sends_to_the_monitors_service() -> None:
    made = yaml.safe_load((KUBERNETES.parents[1] / "examples/kserve/logger.yaml").read_text())
    (service,) = of_kind("monitor", "Service")
    metadata = service["metadata"]
    assert made["spec"]["predictor"]["logger"]["url"].startswith(f"http://{metadata['name']}.{metadata['namespace']}:{service['spec']['ports'][0]['port']}/")


@needs_kubectl
@pytest.mark.parametrize(("page", "base"), [("inject.md", "injector"), ("kubernetes.md", "gateway")])
def test_a_kustomization_of_the_documentation_puts_its_images_and_settings_into_a_base(page: str, base: str, tmp_path: Path) -> None:
    (shown,) = re.findall(r"^# kustomization.yaml\n(.*?)^```", (KUBERNETES.parents[1] / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
    kustomization = yaml.safe_load(shown)
    kustomization["resources"] = [os.path.relpath(KUBERNETES / base, tmp_path)]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (file,) = kustomization["configMapGenerator"][0]["files"]
    (tmp_path / file).write_text("# mine\n")
    made = built(str(tmp_path))
    images = [container["image"] for each in made if "template" in each.get("spec", {}) for container in each["spec"]["template"]["spec"]["containers"]]
    assert images
    assert all(image.startswith("registry.example.com/driftline:") for image in images)
    assert [each["data"][file] for each in made if each["kind"] == "ConfigMap"] == ["# mine\n"]
