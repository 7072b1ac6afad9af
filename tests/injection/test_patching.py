"""Pods to patches: applied by the JSON Patch library, and held against Kubernetes's own schemas of several versions."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonpatch
import kubernetes_validate
import pytest
import yaml
from msgspec.structs import replace

from config.load import ConfigError, load
from config.settings import InjectorSettings
from injection.annotations import Annotations
from injection.operations import applied
from injection.patching import Injection, Patch, patch
from injection.pod import read_pod
from injection.settings_text import Base

from .pods import container, deployment_pod, job_pod, kserve_knative_pod, kserve_raw_pod, pod, port, probe, stateful_pod

NATIVE = Injection(InjectorSettings(), Base())
PLAIN = Injection(replace(InjectorSettings(), native_sidecars=False), Base())
VERSIONS = ["1.29", "1.33", "1.37"]


def patched(made: dict[str, Any], injection: Injection = NATIVE) -> tuple[dict[str, Any], Patch]:
    """Return the pod as the API server would have it then."""
    before = copy.deepcopy(made)
    found = patch(read_pod(made), injection)
    assert made == before
    operations = json.loads(json.dumps([operation._asdict() for operation in found.operations]))
    result: dict[str, Any] = jsonpatch.JsonPatch(operations).apply(made)
    assert result == applied(made, found.operations)
    return result, found


def told(result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(result["metadata"]["annotations"]["driftline.dev/settings"])
    return found


def refused(made: dict[str, Any], injection: Injection = NATIVE) -> str:
    """Return why a pod is not injected; it is left as it is but for an annotation that says so."""
    result, found = patched(made, injection)
    assert not found.injected
    (warning,) = found.warnings
    assert result["metadata"]["annotations"].pop("driftline.dev/warnings") == warning
    assert result["spec"] == made["spec"]
    again = copy.deepcopy(made)
    again["metadata"].setdefault("annotations", {})["driftline.dev/warnings"] = warning
    assert patched(again, injection)[1].operations == []
    return warning


TELL = {"driftline.dev/app-port-argument": "--http_port"}
PODS = {
    "deployment": deployment_pod(),
    "stateful set": stateful_pod(),
    "kserve": kserve_raw_pod(TELL),
    "kserve on knative": kserve_knative_pod(TELL),
    "several containers": pod(container(ports=[port(9000, "http"), port(9001, "grpc")]), container("logs", [port(2020, "metrics")])),
    "a number": pod(container(ports=[port(9000)], livenessProbe=probe(9000))),
    "no port that is declared": pod(container(), annotations={"driftline.dev/upstream-port": "9000"}),
    "init containers": pod(container(ports=[port(9000, "http")]), initContainers=[container("migrate")]),
    "host port": pod(container(ports=[port(9000, "http", hostPort=80)])),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("injection", [NATIVE, PLAIN], ids=["native", "plain"])
@pytest.mark.parametrize("name", PODS)
def test_what_comes_out_is_a_pod_of_every_version_and_comes_out_of_a_second_call_as_it_is(name: str, injection: Injection, version: str) -> None:
    result, found = patched(PODS[name], injection)
    assert found.injected
    shown = copy.deepcopy(result)
    shown["metadata"].pop("creationTimestamp")  # null, as the API server sends it and its schema forbids
    kubernetes_validate.validate(shown, version, strict=True)
    assert patched(result, injection)[1] == Patch([], [])


@pytest.mark.parametrize("name", PODS)
def test_the_driftline_in_the_pod_can_use_what_it_is_told(name: str, tmp_path: Path) -> None:
    result, _ = patched(PODS[name])
    (tmp_path / "driftline.yaml").write_text(result["metadata"]["annotations"]["driftline.dev/settings"])
    settings = load(tmp_path / "driftline.yaml")
    monitor, proxy = result["spec"]["initContainers"][-2:]
    assert settings.proxy.listen.port == proxy["startupProbe"]["tcpSocket"]["port"]
    assert settings.admin.port == monitor["ports"][0]["containerPort"]


def test_a_named_port_is_taken_over_and_the_probes_go_on_to_the_service() -> None:
    handlers = {"readinessProbe": probe("http"), "livenessProbe": probe(9000), "startupProbe": {"tcpSocket": {"port": "http"}}}
    hook = {"preStop": {"httpGet": {"path": "/drain", "port": "http"}}}
    result, found = patched(pod(container(ports=[port(9000, "http"), port(9001, "grpc")], lifecycle=hook, **handlers)))
    model = result["spec"]["containers"][0]
    assert model["ports"] == [port(18080, "http"), port(9001, "grpc")]
    assert model["readinessProbe"]["httpGet"]["port"] == 9000
    assert model["livenessProbe"]["httpGet"]["port"] == 9000
    assert model["startupProbe"]["tcpSocket"]["port"] == 9000
    assert model["lifecycle"]["preStop"]["httpGet"]["port"] == 9000
    assert told(result)["proxy"] == {"listen": ":18080"}
    assert told(result)["routes"] == [{"upstream": "http://127.0.0.1:9000"}]
    assert found.warnings == []


def test_native_sidecars_come_behind_the_other_init_containers_and_the_monitor_outlives_the_proxy() -> None:
    result, _ = patched(PODS["init containers"])
    assert [(each["name"], each.get("restartPolicy")) for each in result["spec"]["initContainers"]] == [
        ("migrate", None),
        ("driftline-monitor", "Always"),
        ("driftline", "Always"),
    ]
    assert [each["name"] for each in result["spec"]["containers"]] == ["model"]


def test_older_clusters_get_containers_which_wait_until_no_more_requests_come() -> None:
    result, _ = patched(deployment_pod(), PLAIN)
    assert "initContainers" not in result["spec"]
    model, monitor, proxy = result["spec"]["containers"]
    assert model["name"] == "model"
    assert "restartPolicy" not in monitor
    assert proxy["lifecycle"]["preStop"]["exec"]["command"][0] == "python"


def test_the_containers_need_no_rights() -> None:
    result, _ = patched(deployment_pod())
    for each in result["spec"]["initContainers"]:
        assert each["securityContext"]["runAsNonRoot"]
        assert each["securityContext"]["readOnlyRootFilesystem"]
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_only_the_data_plane_has_a_say_in_whether_the_pod_is_ready() -> None:
    monitor, proxy = patched(deployment_pod())[0]["spec"]["initContainers"]
    assert "readinessProbe" in proxy
    assert {"readinessProbe", "startupProbe"}.isdisjoint(monitor)


def test_a_number_is_taken_over_where_the_service_can_be_told_another_one_by_an_option() -> None:
    result, found = patched(kserve_raw_pod(TELL))
    model = result["spec"]["containers"][0]
    assert model["args"] == ["--model_name=sklearn-iris", "--model_dir=/mnt/models", "--http_port=18082"]
    assert model["readinessProbe"]["tcpSocket"]["port"] == 18082
    assert told(result)["proxy"] == {"listen": ":8080"}
    assert told(result)["routes"] == [{"upstream": "http://127.0.0.1:18082"}]
    assert found.warnings == []


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["serve", "--http_port", "8080"], ["serve", "--http_port", "18082"]),
        (["serve"], ["serve", "--http_port=18082"]),
        (["serve", "--http_port_file=8080"], ["serve", "--http_port_file=8080", "--http_port=18082"]),
    ],
)
def test_an_option_is_found_in_each_of_its_forms(args: list[str], expected: list[str]) -> None:
    result, _ = patched(pod(container(ports=[port(8080)], args=args), annotations=TELL))
    assert result["spec"]["containers"][0]["args"] == expected


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (None, [{"name": "PORT", "value": "18082"}]),
        ([{"name": "A", "value": "1"}], [{"name": "A", "value": "1"}, {"name": "PORT", "value": "18082"}]),
        ([{"name": "PORT", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}}], [{"name": "PORT", "value": "18082"}]),
    ],
)
def test_a_number_is_taken_over_where_the_service_can_be_told_another_one_by_a_variable(env: list[Any] | None, expected: list[Any]) -> None:
    more = {} if env is None else {"env": env}
    result, _ = patched(pod(container(ports=[port(9000, "http")], readinessProbe=probe("http"), **more), annotations={"driftline.dev/app-port-env": "PORT"}))
    model = result["spec"]["containers"][0]
    assert model["env"] == expected
    assert model["ports"] == [port(9000, "http")]
    assert model["readinessProbe"]["httpGet"]["port"] == 18082


def test_knatives_queue_proxy_sends_requests_to_driftline_and_its_probe_to_the_service() -> None:
    before = kserve_knative_pod(TELL)
    result, _ = patched(before)
    model, queue = result["spec"]["containers"]
    port_variable, probe_variable = queue.pop("env")
    assert port_variable == {"name": "USER_PORT", "value": "8080"}
    assert json.loads(probe_variable["value"]) == {"tcpSocket": {"port": 18082, "host": "127.0.0.1"}, "successThreshold": 1}
    assert queue == {key: value for key, value in before["spec"]["containers"][1].items() if key != "env"}
    assert model["lifecycle"] == before["spec"]["containers"][0]["lifecycle"]
    assert told(result)["proxy"] == {"listen": ":8080"}


@pytest.mark.parametrize("value", ["", "x", "[]", "{}", "[" * 5000, '{"tcpSocket": 8080}', '{"tcpSocket": {"port": 9999}}'])
def test_a_probe_that_is_another_or_none_stays_as_it_is(value: str) -> None:
    agent = container("agent", [port(9081, "agent-port")], env=[{"name": "SERVING_READINESS_PROBE", "value": value}])
    made = kserve_raw_pod(TELL)
    made["spec"]["containers"].append(agent)
    assert patched(made)[0]["spec"]["containers"][1] == agent


@pytest.mark.parametrize("made", [kserve_raw_pod(), kserve_knative_pod()])
def test_kserves_pods_are_refused_where_their_traffic_would_go_past(made: dict[str, Any]) -> None:
    assert "send requests to port 8080 by its number" in refused(made)


def test_a_port_without_a_name_gets_one_for_services_and_a_warning_that_says_so() -> None:
    result, found = patched(PODS["a number"])
    model = result["spec"]["containers"][0]
    assert model["ports"] == [port(9000), port(18080, "driftline")]
    assert model["livenessProbe"]["httpGet"]["port"] == 9000
    assert "point Services to targetPort driftline" in found.warnings[0]
    assert result["metadata"]["annotations"]["driftline.dev/warnings"] == found.warnings[0]


def test_numbers_that_are_taken_are_not_taken_again() -> None:
    ports = [port(9000, "http"), port(18080, "a"), port(18081, "b"), port(18083, "c")]
    result, _ = patched(pod(container(ports=ports)))
    assert told(result)["proxy"]["listen"] == ":18082"
    assert told(result)["admin"] == ":18084"


@pytest.mark.parametrize(
    ("ports", "chosen"),
    [
        ([port(9001, "grpc"), port(9000, "http1")], 9000),
        ([port(53, "dns", "UDP"), port(9000)], 9000),
        ([port(9000, "rest"), port(53, "dns", "SCTP")], 9000),
    ],
)
def test_the_service_is_found_without_being_told(ports: list[dict[str, Any]], chosen: int) -> None:
    assert told(patched(pod(container(ports=ports)))[0])["routes"] == [{"upstream": f"http://127.0.0.1:{chosen}"}]


@pytest.mark.parametrize("wanted", ["9001", "rest"])
def test_the_service_is_the_one_that_is_asked_for(wanted: str) -> None:
    made = pod(container("other", [port(9000, "http")]), container(ports=[port(9001, "rest")]), annotations={"driftline.dev/upstream-port": wanted})
    result, _ = patched(made)
    assert told(result)["routes"] == [{"upstream": "http://127.0.0.1:9001"}]
    assert result["spec"]["containers"][0] == made["spec"]["containers"][0]
    assert result["spec"]["containers"][1]["ports"] == [port(18080, "rest")]


def test_routes_shadows_capture_and_budget_are_what_the_pod_asks_for() -> None:
    asked = {
        "driftline.dev/routes": "- {path: /v2/models/fraud, version: 3.10}\n- {name: rest, capture: heads, shadows: []}\n",
        "driftline.dev/shadows": "http://candidate:8080@25% http://other:8080",
        "driftline.dev/capture": "request",
        "driftline.dev/budget": "2 per day",
        "driftline.dev/proxy-cpu": "0.2",
        "driftline.dev/monitor-memory": "2Gi",
    }
    result, _ = patched(pod(annotations=asked))
    shadows = [{"url": "http://candidate:8080", "share": "25%"}, {"url": "http://other:8080", "share": "100%"}]
    assert told(result)["routes"] == [
        {"upstream": "http://127.0.0.1:9000", "capture": "request", "shadows": shadows, "path": "/v2/models/fraud", "version": "3.10"},
        {"upstream": "http://127.0.0.1:9000", "capture": "heads", "shadows": [], "name": "rest"},
    ]
    assert told(result)["drift"] == {"budget": "2 per 1 day"}
    monitor, proxy = result["spec"]["initContainers"]
    assert proxy["resources"] == {"requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"memory": "128Mi"}}
    assert monitor["resources"] == {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}


BAD = {
    "upstream-port": ["0", "65536", "-1", "9000.0", "HTTP", "a" * 16, "grpc", "٣"],
    "listen-port": ["80", "65536", "http", "9000", ""],
    "app-port-env": ["", "1A", "A B", "A=1"],
    "app-port-argument": ["", "http_port", "--", "--a b", "--http_port=1"],
    "routes": [
        "x",
        "[]",
        "[1]",
        "{}",
        "[{pth: /}]",
        "[{upstream: localhost 1}]",
        "[{path: x}]",
        "[{path: /a}, {path: /a}]",
        "[",
        "[{sample: 200%}]",
        "&a [*a]",
        "[" * 5000,
        "!!python/object/apply:os.system [id]",
        "\x00",
    ],
    "shadows": ["candidate", "http://candidate@250%", "http://candidate:99999", "http://127.0.0.1:18080"],
    "capture": ["", "everything"],
    "budget": ["1", "none", "0 per day"],
    "proxy-cpu": ["0", "x", "-1", "1e9"],
    "proxy-memory": ["1", "64 MiB", "32Mi", "-1Gi"],
    "monitor-cpu": ["0m", "1.2345"],
    "monitor-memory": ["100Mi", "1GB"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_what_makes_no_sense_is_refused_with_words_that_name_it(name: str, text: str) -> None:
    warning = refused(pod(annotations={f"driftline.dev/{name}": text}))
    assert f"driftline.dev/{name}" in warning
    assert len(warning) < 4000


def test_every_annotation_has_a_bad_value_above() -> None:
    assert {name.replace("_", "-") for name in Annotations.__struct_fields__} == BAD.keys()


def test_an_annotation_that_nobody_knows_is_refused_with_the_likely_one() -> None:
    assert "did you mean driftline.dev/upstream-port?" in refused(pod(annotations={"driftline.dev/upstream-prot": "9000"}))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (pod(hostNetwork=True), "hostNetwork"),
        (pod(os={"name": "windows"}), "windows"),
        (pod(volumes=[{"name": "driftline-data", "emptyDir": {}}]), "driftline-data"),
        (pod(container()), "expected one TCP port, found none"),
        (pod(container(ports=[port(1), port(2)])), "expected one TCP port, found 1, 2"),
        (pod(container(ports=[port(53, "dns", "UDP")])), "found none"),
        (job_pod(), "expected one TCP port, found none"),
        (pod(container(ports=[port(80)]), annotations={"driftline.dev/app-port-env": "PORT"}), "port 80 can be taken over only by root"),
        (pod(container(ports=[port(8080)]), annotations=TELL), "expected args of the container 'model', found none"),
        (pod(container(), container("b"), annotations={"driftline.dev/upstream-port": "9000", **TELL}), "declared by no container"),
    ],
)
def test_pods_that_it_cannot_stand_before_are_left_alone(made: dict[str, Any], why: str) -> None:
    assert why in refused(made)


def test_a_pod_that_is_to_end_is_kept_from_it_by_no_container() -> None:
    made = pod(owner=("batch/v1", "Job"), restartPolicy="Never")
    assert "restartPolicy" in refused(made, PLAIN)
    assert patched(made)[1].injected


@pytest.mark.parametrize(
    "made",
    [
        pod(labels={"driftline.dev/inject": "false"}),
        pod(annotations={"kubernetes.io/config.mirror": "x"}),
        pod(container("driftline", [port(8080, "http")])),
        pod(container(ports=[port(9000, "http")]), initContainers=[container("driftline", restartPolicy="Always")]),
    ],
)
def test_who_wants_none_or_has_it_gets_nothing_and_no_words(made: dict[str, Any]) -> None:
    assert patched(made)[1] == Patch([], [])


def test_what_serves_nothing_in_a_namespace_that_was_chosen_gets_no_words() -> None:
    made = job_pod()
    del made["metadata"]["labels"]["driftline.dev/inject"]
    assert patched(made)[1] == Patch([], [])


def test_who_may_do_what_in_pods_is_for_the_injectors_file_to_say() -> None:
    result, _ = patched(pod(), Injection(InjectorSettings(), Base("access: {keys: /etc/driftline/secrets/keys}\n")))
    assert told(result)["access"] == {"keys": "/etc/driftline/secrets/keys"}


def test_a_pod_has_its_traffic_sent_only_where_the_injector_allows() -> None:
    injection = Injection(InjectorSettings(), Base("access: {egress: '*.models.svc'}\n"))
    assert patched(pod(annotations={"driftline.dev/shadows": "http://candidate.models.svc:9001"}), injection)[1].injected
    _, patch = patched(pod(annotations={"driftline.dev/shadows": "http://evil.example:9001"}), injection)
    assert not patch.injected
    assert "access.egress" in str(patch)


def test_the_injectors_file_is_what_pods_are_told() -> None:
    text = "store: {clickhouse: 'http://driftline@clickhouse:8123/d'}\ndrift: {budget: 1 per 90 days, window_rows: 500}\nproxy: {capture: 1 KiB}\nadmin: ':9'\ninjector: {}\n"
    result, _ = patched(pod(annotations={"driftline.dev/budget": "1 per day"}), Injection(InjectorSettings(), Base(text)))
    assert told(result) == {
        "access": {"anonymous": "viewer"},
        "store": {"clickhouse": "http://driftline@clickhouse:8123/d"},
        "drift": {"budget": "1 per 1 day", "window_rows": "500"},
        "proxy": {"capture": "1 KiB", "listen": ":18080"},
        "admin": ":18081",
        "data_dir": "/var/lib/driftline/data",
        "routes": [{"upstream": "http://127.0.0.1:9000"}],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("store: {clickhouse: 'http://driftline:hunter2@clickhouse:8123/d'}", "expected no password"),
        ("routes: [{upstream: http://a}]", "come from each pod's annotations"),
        ("drift: {budget: often}", "drift.budget"),
    ],
)
def test_an_injectors_file_that_pods_cannot_be_told_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        Base(text, "injector.yaml")
    assert "hunter2" not in str(raised.value)
