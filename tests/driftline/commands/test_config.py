import argparse
from pathlib import Path

import pytest

from driftline.commands import config


def check(file: Path) -> int:
    parser = argparse.ArgumentParser()
    config.configure(parser)
    return config.run(parser.parse_args(["check", str(file)]))


def test_a_good_file_is_summarised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text("routes: [{upstream: http://a, shadows: [{url: http://b, share: 25%}]}]\nstore: {clickhouse: http://me:hunter2@c:8123}\n")
    assert check(file) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines() == [
        f"{file}: ok",
        "  route default: / to http://a",
        "    shadow shadow-1: 25% to http://b",
        "  listens on 127.0.0.1:8080 (1 worker), admin on 127.0.0.1:8081",
        "  spool of 2 GiB in driftline-data/spool, store on http://me:***@c:8123",
        "  false alerts at most 1 per 30 days, alerts go to the log only",
    ]


def test_the_summary_says_which_requests_a_shadow_gets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text("routes:\n- upstream: http://a\n  shadows:\n  - {url: http://b, share: 25%, key: X-Session-Id, when: X-Canary=yes}\n")
    assert check(file) == 0
    assert "    shadow shadow-1: 25% of x-session-id where x-canary=yes to http://b" in capsys.readouterr().out.splitlines()


def test_a_broken_file_is_status_2_with_its_errors_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text("admin: x\nrutes: []\n")
    assert check(file) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(": ")[:2] for line in printed.err.splitlines()] == [[f"{file}:1", "admin"], [f"{file}:2", "rutes"]]


def test_a_baseline_that_cannot_be_read_is_an_error_of_the_file_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text(f"routes: [{{upstream: http://a, baseline: {tmp_path}/nope.json}}]\n")
    assert check(file) == 2
    assert f"cannot read the baseline {tmp_path}/nope.json" in capsys.readouterr().err


def test_an_expression_that_is_none_is_an_error_of_the_route_that_has_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text("routes: [{name: asks, upstream: http://a, format: json, predictions: 'result['}]\n")
    assert check(file) == 2
    assert "route asks: expected a JMESPath expression, found 'result['" in capsys.readouterr().err


def test_a_signature_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text(f"routes: [{{upstream: http://a, signature: {tmp_path}/MLmodel}}]\n")
    assert check(file) == 2
    assert f"cannot read the signature {tmp_path}/MLmodel: No such file" in capsys.readouterr().err
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    assert check(file) == 2
    assert f"{tmp_path}/MLmodel: expected MLflow's MLmodel with a signature" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["spool: {keys: a=file:/absent/key}", "privacy: {hash_keys: a=file:/absent/key}"])
def test_a_key_that_cannot_be_read_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text(f"routes: [{{upstream: http://a}}]\n{setting}\n")
    assert check(file) == 2
    assert "the key a cannot be read from the file /absent/key" in capsys.readouterr().err
