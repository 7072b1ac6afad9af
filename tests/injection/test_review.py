"""AdmissionReview bodies as the API server sends them, and as nobody should."""

import base64
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import InjectorSettings
from injection.patching import Injection
from injection.review import NotAReviewError, Outcome, answer
from injection.settings_text import Base

from .pods import deployment_pod, job_pod, kserve_knative_pod, kserve_raw_pod, pod, review, stateful_pod

INJECTION = Injection(InjectorSettings(), Base())
TELL = {"driftline.dev/app-port-argument": "--http_port"}


def asked(made: Any, **more: Any) -> tuple[dict[str, Any], Outcome]:
    found = answer(json.dumps(review(made, **more)).encode(), INJECTION)
    reply = json.loads(found.body)
    assert reply["apiVersion"] == "admission.k8s.io/v1"
    assert reply["response"]["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert reply["response"]["allowed"] is True
    return reply["response"], found.outcome


def patched(made: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    assert response["patchType"] == "JSONPatch"
    result: dict[str, Any] = jsonpatch.JsonPatch(json.loads(base64.b64decode(response["patch"]))).apply(made)
    return result


@pytest.mark.parametrize("made", [deployment_pod(), stateful_pod(), kserve_raw_pod(TELL), kserve_knative_pod(TELL)])
def test_a_pod_is_injected_once_however_often_the_api_server_asks(made: dict[str, Any]) -> None:
    response, outcome = asked(made)
    assert outcome is Outcome.INJECTED
    result = patched(made, response)
    assert [each["name"] for each in result["spec"]["initContainers"][-2:]] == ["driftline-monitor", "driftline"]
    # Another webhook has added a container since, so the API server asks again (reinvocationPolicy IfNeeded).
    result["spec"]["containers"].append({"name": "istio-proxy", "image": "istio"})
    response, outcome = asked(result)
    assert outcome is Outcome.UNCHANGED
    assert "patch" not in response


@pytest.mark.parametrize("made", [job_pod(), pod(hostNetwork=True), pod(annotations={"driftline.dev/capture": "all"})])
def test_a_pod_that_cannot_be_injected_is_allowed_with_a_warning_that_stays_with_it(made: dict[str, Any]) -> None:
    response, outcome = asked(made)
    assert outcome is Outcome.REFUSED
    (warning,) = response["warnings"]
    assert warning.startswith("Driftline is not injected: ")
    assert patched(made, response)["metadata"]["annotations"]["driftline.dev/warnings"] == warning


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE", "CONNECT"])
def test_what_is_no_creation_is_let_through(operation: str) -> None:
    assert asked(deployment_pod(), operation=operation)[1] is Outcome.UNCHANGED
    assert asked(None, operation=operation)[1] is Outcome.UNCHANGED


def test_a_warning_is_no_longer_than_the_api_server_takes() -> None:
    response, _ = asked(pod(annotations={"driftline.dev/routes": "[" + "{pth: /}," * 2000 + "]"}))
    assert len(response["warnings"][0]) <= 4096


def changed(path: list[str], value: Any) -> bytes:
    made = review(deployment_pod())
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(made).encode()


HOSTILE = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"kind": "\xff"}',
    "null": b"null",
    "a number": b"1e999",
    "a list without end": b"[" * 100_000,
    "objects without end": b'{"request":' * 100_000,
    "a pod that is lists without end": changed(["request", "object"], 0).replace(b'"object": 0', b'"object": ' + b"[" * 100_000 + b"]" * 100_000),
    "a pod with lists without end": changed(["request", "object"], 0).replace(
        b'"object": 0', b'"object": {"kind": "Pod", "spec": {"containers": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}"
    ),
    "another kind of review": changed(["kind"], "ConversionReview"),
    "another version": changed(["apiVersion"], "admission.k8s.io/v1beta1"),
    "no request": changed(["request"], None),
    "no uid": changed(["request", "uid"], None),
    "a Deployment": changed(["request", "object", "kind"], "Deployment"),
    "containers that are none": changed(["request", "object", "spec", "containers"], "x"),
    "a container without a name": changed(["request", "object", "spec", "containers"], [{}]),
    "annotations that are none": changed(["request", "object", "metadata", "annotations"], {"driftline.dev/routes": {"$ne": 1}}),
    "a port that is none": changed(["request", "object", "spec", "containers"], [{"name": "a", "ports": [{"containerPort": "8080; rm"}]}]),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_is_refused_with_words(body: bytes) -> None:
    with pytest.raises(NotAReviewError, match="expected") as raised:
        answer(body, INJECTION)
    assert len(str(raised.value)) < 500


def test_a_pod_may_be_as_large_as_etcd_takes_it() -> None:
    made = pod(annotations={"note": "x" * 250_000, "driftline.dev/capture": "heads"})
    made["spec"]["containers"] += [{"name": f"c{number}", "image": "x" * 1000} for number in range(1000)]
    response, outcome = asked(made)
    assert outcome is Outcome.INJECTED
    assert len(response["patch"]) < 20_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_whatever_stands_where_the_pod_should_is_answered_or_refused(made: Any) -> None:
    try:
        answer(json.dumps(review(made)).encode(), INJECTION)
    except NotAReviewError:
        return
    assert made is None


@given(st.dictionaries(st.sampled_from(["upstream-port", "listen-port", "app-port-env", "routes", "shadows", "capture", "budget", "x"]), st.text(max_size=40)))
def test_whatever_a_pod_asks_for_it_is_allowed(annotations: dict[str, str]) -> None:
    made = pod(annotations={f"driftline.dev/{name}": text for name, text in annotations.items()})
    response, outcome = asked(made)
    assert outcome is (Outcome.REFUSED if response.get("warnings") else Outcome.INJECTED)
