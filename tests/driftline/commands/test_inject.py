"""`driftline inject`, as somebody without a cluster uses it."""

import io
from pathlib import Path

import pytest
import yaml

from driftline.cli import main

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: fraud}\nspec: {containers: [{name: model, image: m, ports: [{name: http, containerPort: 9000}]}]}\n"


def test_a_file_comes_out_injected_and_comes_out_of_a_second_call_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    assert main(["inject", "-f", str(tmp_path / "pod.yaml")]) == 0
    once = capsys.readouterr()
    assert [each["name"] for each in yaml.safe_load(once.out)["spec"]["initContainers"]] == ["driftline-monitor", "driftline"]
    assert once.err == ""
    monkeypatch.setattr("sys.stdin", io.StringIO(once.out))
    assert main(["inject", "-f", "-"]) == 0
    assert capsys.readouterr().out == once.out


def test_the_injectors_file_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "injector.yaml").write_text("injector: {native_sidecars: false, proxy_image: 'mine:1', secret: ''}\ndrift: {window_rows: 500}\n")
    assert main(["inject", "-f", str(tmp_path / "pod.yaml"), "--config", str(tmp_path / "injector.yaml")]) == 0
    pod = yaml.safe_load(capsys.readouterr().out)
    assert pod["spec"]["containers"][2]["image"] == "mine:1"
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == {"driftline-data", "driftline-settings"}
    assert "window_rows: '500'" in pod["metadata"]["annotations"]["driftline.dev/settings"]


def test_a_pod_that_cannot_be_injected_is_said_and_comes_out_as_it_went_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pod.yaml").write_text(POD.replace("spec: {", "spec: {hostNetwork: true, "))
    assert main(["inject", "-f", str(tmp_path / "pod.yaml")]) == 1
    said = capsys.readouterr()
    assert yaml.safe_load(said.out) == yaml.safe_load((tmp_path / "pod.yaml").read_text())
    assert said.err.startswith("driftline: Pod fraud: Driftline is not injected: the pod is in its node's network")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "expected a file that can be read, found: No such file"),
        ({"pod.yaml": "a: ["}, "pod.yaml: not YAML"),
        ({"pod.yaml": b"\xff"}, "pod.yaml: "),
        ({"pod.yaml": POD, "injector.yaml": "injector: {proxy_cpu: fast}"}, "injector.proxy_cpu: expected CPU cores"),
        ({"pod.yaml": POD, "injector.yaml": "store: {clickhouse: 'http://me:secret@c:8123/d'}"}, "expected no password"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, files: dict[str, str | bytes], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    config = ["--config", str(tmp_path / "injector.yaml")] if "injector.yaml" in files else []
    assert main(["inject", "-f", str(tmp_path / "pod.yaml"), *config]) == 2
    said = capsys.readouterr()
    assert why in said.err
    assert said.out == ""
    assert "secret@" not in said.err
