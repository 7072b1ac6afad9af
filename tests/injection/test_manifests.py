"""Files of manifests: what makes pods gets Driftline, and everything else goes through."""

import re
from contextlib import suppress
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import InjectorSettings
from injection.manifests import inject_manifests
from injection.patching import Injection
from injection.settings_text import Base

from .pods import container, port, probe

INJECTION = Injection(InjectorSettings(), Base())


def template(**more: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "fraud"}}, "spec": {"containers": [container(ports=[port(9000, "http")], readinessProbe=probe("http"))], **more}}


def workload(api: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "fraud"}, "spec": spec}


SELECTOR = {"selector": {"matchLabels": {"app": "fraud"}}}
WORKLOADS = [
    workload("apps/v1", "Deployment", {**SELECTOR, "template": template()}),
    workload("apps/v1", "ReplicaSet", {**SELECTOR, "template": template()}),
    workload("apps/v1", "DaemonSet", {**SELECTOR, "template": template()}),
    workload("apps/v1", "StatefulSet", {**SELECTOR, "serviceName": "fraud", "template": template()}),
    workload("batch/v1", "Job", {"template": template(restartPolicy="Never")}),
    workload("batch/v1", "CronJob", {"schedule": "0 4 * * *", "jobTemplate": {"spec": {"template": template(restartPolicy="OnFailure")}}}),
    {**workload("v1", "Pod", template()["spec"])},
]


def find(document: Any) -> list[str]:
    """Return the names of all containers, wherever they are."""
    if isinstance(document, dict):
        own = [each["name"] for kind in ("initContainers", "containers") for each in document.get(kind, ())]
        return own + [name for value in document.values() for name in find(value)]
    return [name for value in document for name in find(value)] if isinstance(document, list) else []


@pytest.mark.parametrize("made", WORKLOADS, ids=lambda made: made["kind"])
def test_whatever_makes_pods_makes_them_with_driftline(made: dict[str, Any]) -> None:
    injected = inject_manifests(yaml.safe_dump(made), INJECTION)
    (result,) = yaml.safe_load_all(injected.text)
    kubernetes_validate.validate(result, "1.33", strict=True)
    assert find(result) == ["driftline-monitor", "driftline", "model"]
    assert (injected.messages, injected.failed) == ([], False)
    again = inject_manifests(injected.text, INJECTION)
    assert again.text == injected.text
    assert not again.failed


def test_a_template_needs_no_metadata() -> None:
    made = workload("batch/v1", "Job", {"template": {"spec": template(restartPolicy="Never")["spec"]}})
    (result,) = yaml.safe_load_all(inject_manifests(yaml.safe_dump(made), INJECTION).text)
    assert result["spec"]["template"]["metadata"]["annotations"].keys() == {"driftline.dev/settings"}


def test_a_pod_that_serves_nothing_is_said_where_somebody_asks_for_it() -> None:
    made = workload("batch/v1", "Job", {"template": {"metadata": None, "spec": {"containers": [container()], "restartPolicy": "Never"}}})
    injected = inject_manifests(yaml.safe_dump(made), INJECTION)
    assert injected.failed
    assert "expected one TCP port, found none" in injected.messages[0]


def test_lists_and_files_of_several_documents_are_gone_through() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "fraud"}, "spec": {"ports": [{"port": 80, "targetPort": "http"}]}}
    both = {"apiVersion": "v1", "kind": "List", "items": [service, WORKLOADS[0], WORKLOADS[-1]]}
    injected = inject_manifests(yaml.safe_dump_all([service, both, WORKLOADS[3]]), INJECTION)
    first, listed, last = yaml.safe_load_all(injected.text)
    assert first == listed["items"][0] == service
    assert [find(each).count("driftline") for each in (*listed["items"][1:], last)] == [1, 1, 1]


def test_what_an_anchor_shares_is_changed_in_one_place_only() -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: two, annotations: {driftline.dev/upstream-port: http}}
spec:
  containers:
    - {name: a, image: a, ports: &ports [{name: http, containerPort: 9000}]}
    - {name: b, image: b, ports: *ports}
"""
    (result,) = yaml.safe_load_all(inject_manifests(text, INJECTION).text)
    assert [each["ports"][0]["containerPort"] for each in result["spec"]["containers"]] == [18080, 9000]


def through(value: str) -> str:
    """Return what becomes of a value, as it is written."""
    made = inject_manifests(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  key: {value}\n", INJECTION).text
    return made.splitlines()[-1].removeprefix("  key: ")


@pytest.mark.parametrize("text", ["1e3", "12e45678", "0o644", "0644", "8080", "1_000", "3.10", "-.5", "yes", "y", "N", "null", "~", "0x10", "true"])
def test_a_text_that_kubectl_would_take_for_something_else_stays_quoted(text: str) -> None:
    assert through(f'"{text}"') == f"'{text}'"


@pytest.mark.parametrize(
    ("written", "result"),
    [
        ("0o644", "420"),
        ("0644", "420"),
        ("8080", "8080"),
        ("1_000", "1000"),
        ("3.10", "3.1"),
        ("-.5", "-0.5"),
        ("1e3", "1000.0"),
        ("yes", "true"),
        ("~", "null"),
    ],
)
def test_a_value_that_is_no_text_stays_what_it_is(written: str, result: str) -> None:
    assert through(written) == result


@pytest.mark.parametrize("text", ["2026-11-21", "1:30", "100m", "64Mi", "25%"])
def test_what_kubectl_takes_for_a_text_is_one(text: str) -> None:
    assert through(text).strip("'") == text


def test_a_pod_that_it_cannot_stand_before_comes_out_as_it_went_in_with_a_word_about_it() -> None:
    made = workload("apps/v1", "Deployment", {**SELECTOR, "template": template(hostNetwork=True)})
    injected = inject_manifests(yaml.safe_dump(made), INJECTION)
    assert yaml.safe_load(injected.text) == made
    assert injected.failed
    assert injected.messages[0].startswith("Deployment fraud: Driftline is not injected: the pod is in its node's network")


def test_a_pod_that_wants_none_gets_none() -> None:
    made = workload("v1", "Pod", template()["spec"])
    made["metadata"]["labels"] = {"driftline.dev/inject": "false"}
    injected = inject_manifests(yaml.safe_dump(made), INJECTION)
    assert yaml.safe_load(injected.text) == made
    assert not injected.failed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "not YAML"),
        ("a: *nothing", "not YAML"),
        ("[" * 5000, "nested without end"),
        ("\x00", "not YAML"),
        ("!!python/object/apply:os.system [id]", "not YAML"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: x}\n", "Pod x: not a pod: Object missing required field `spec`"),
        ("kind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\nspec: {template: []}", "Deployment x/spec/template: not a pod"),
        ("kind: Pod\napiVersion: v1\nmetadata: 3\nspec: {containers: []}", "Pod: not a pod"),
        ("kind: Pod\napiVersion: v1\nspec: {containers: [{name: a, ports: [{containerPort: http}]}]}", "Expected `int`, got `str`"),
    ],
)
def test_what_is_no_manifest_is_refused_with_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        inject_manifests(text, INJECTION)


_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 70000), st.text(max_size=8))
_KEYS = st.sampled_from(
    ["containers", "initContainers", "ports", "name", "env", "volumes", "containerPort", "livenessProbe", "httpGet", "port", "labels", "annotations", "args"]
)
_SPECS = st.dictionaries(
    _KEYS, st.recursive(_SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=4)), max_leaves=20)
)


@settings(max_examples=40)
@given(_SPECS, _SPECS)
def test_nothing_that_stands_where_a_pod_should_breaks_it(metadata: dict[str, Any], spec: dict[str, Any]) -> None:
    with suppress(ValueError):
        inject_manifests(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}), INJECTION)
