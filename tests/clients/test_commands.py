"""curl, wrk and h2load."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from .conftest import program


def curl(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [program("curl", "curl"), "--silent", "--show-error", "--max-time", "20", *arguments]
    return subprocess.run(command, check=True, capture_output=True, input=data)


@pytest.mark.parametrize("options", [(), ("--http1.0",), ("--header", "Transfer-Encoding: chunked"), ("--header", "Expect: 100-continue")])
def test_curl_gets_back_what_it_posts(proxy, options):
    body = bytes(range(256)) * 4096
    finished = curl("--data-binary", "@-", "--header", "Content-Type: application/octet-stream", *options, f"{proxy}/echo", data=body)
    assert finished.stdout == body


def test_curl_sees_the_head_of_a_head_request(proxy):
    head = curl("--head", f"{proxy}/large").stdout
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 4194304\r\n" in head.lower()


def test_curl_uses_one_connection_for_several_requests(proxy):
    addresses = [argument for path in ("a", "b", "c") for argument in (f"{proxy}/{path}", "--output", "/dev/null")]
    finished = curl("--write-out", "%{num_connects} %{http_code}\n", *addresses)
    assert finished.stdout.decode().split() == ["1", "200", "0", "200", "0", "200"]


def test_curl_takes_an_answer_before_its_upload_is_whole(proxy):
    finished = curl("--data-binary", "@-", "--write-out", "%{http_code}", f"{proxy}/early", data=bytes(8_000_000))
    assert finished.stdout == b"too large413"


def test_curl_sends_any_method_and_query(proxy):
    written = curl("--request", "PROPFIND", "--include", f"{proxy}/x%2Fy/?q=%20&r#fragment").stdout.lower()
    assert b"x-method: propfind\r\n" in written
    assert b"x-query: q=%20&r\r\n" in written


def test_curl_speaks_as_through_a_forward_proxy(proxy):
    assert b"x-method: get\r\n" in curl("--include", "--proxy", proxy, "http://model.example/echo").stdout.lower()


@pytest.mark.parametrize("path", ["/echo", "/stream"])
def test_wrk_sees_no_error(proxy, path):
    finished = subprocess.run([program("wrk", "wrk"), "-t1", "-c32", "-d1s", f"{proxy}{path}"], check=True, capture_output=True, text=True)
    assert int(re.search(r"(\d+) requests in", finished.stdout)[1]) > 10
    assert "Socket errors" not in finished.stdout
    assert "Non-2xx" not in finished.stdout


@pytest.mark.parametrize("options", [("-c16",), ("-c4", "-m8")])
def test_h2load_has_every_request_of_http_1_1_answered(proxy, options):
    command = [program("h2load", "nghttp2-client"), "--h1", "-n2000", *options, f"{proxy}/echo"]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in finished.stdout


def test_curl_is_told_as_json_what_is_wrong(proxy):
    refused = json.loads(curl("--header", "Transfer-Encoding: gzip, chunked", "--data", "x", f"{proxy}/echo").stdout)
    assert refused["error"]
    assert refused["request_id"]
