"""Which requests a shadow is due."""

from __future__ import annotations

import subprocess
import sys

import pytest

from config.selection import Condition, Key
from http1.request import RequestHead, parse_request_head
from proxy.sampling import Sample


def request(target: str = "/", *fields: str) -> RequestHead:
    return parse_request_head("\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *fields]).encode())


def taken(sample: Sample, key: str, values: range) -> set[int]:
    return {value for value in values if sample.takes(request("/", f"{key}: {value}"))}


def test_everything_is_taken_and_nothing_is():
    assert Sample(1.0, None, None).takes(request())
    assert not any(Sample(0.0, None, None).takes(request()) for _ in range(100))


def test_a_share_is_taken_by_chance():
    sample = Sample(0.25, None, None)
    assert 350 < sum(sample.takes(request()) for _ in range(2000)) < 650


def test_only_a_field_with_exactly_this_value_meets_a_condition():
    sample = Sample(1.0, Condition.parse("X-Canary=yes"), None)
    assert sample.takes(request("/", "x-CANARY:  yes "))
    for fields in ((), ("X-Canary: no",), ("X-Canary: Yes",), ("X-Canary: yes", "X-Canary: yes")):
        assert not sample.takes(request("/", *fields))


def test_a_share_of_a_key_is_taken_of_its_values_and_the_same_ones_every_time():
    sample = Sample(0.25, None, Key.parse("X-Session-Id"))
    first = taken(sample, "X-Session-Id", range(2000))
    assert 400 < len(first) < 600
    assert taken(sample, "X-Session-Id", range(2000)) == first


def test_what_is_in_a_share_is_in_a_larger_one_of_the_same_key():
    small, large = (taken(Sample(share, None, Key.parse("X-Session-Id")), "X-Session-Id", range(500)) for share in (0.2, 0.6))
    assert small < large


def test_the_same_values_are_taken_in_another_process():
    program = """
from config.selection import Key
from proxy.sampling import Sample
from http1.request import parse_request_head
sample = Sample(0.5, None, Key.parse("X-Session-Id"))
print([n for n in range(100) if sample.takes(parse_request_head(f"GET / HTTP/1.1\\r\\nHost: a\\r\\nX-Session-Id: {n}".encode()))])
"""
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(sorted(taken(Sample(0.5, None, Key.parse("X-Session-Id")), "X-Session-Id", range(100))))


@pytest.mark.parametrize("target", ["/?session={}", "/?a=b&session={}&c", "/path?session={}&session=0"])
def test_a_key_in_the_query_is_found_wherever_it_stands(target):
    by_field, by_parameter = Sample(0.5, None, Key.parse("X-Session-Id")), Sample(0.5, None, Key.parse("?session"))
    values = range(200)
    assert {value for value in values if by_parameter.takes(request(target.format(value)))} == taken(by_field, "X-Session-Id", values)


def test_a_request_without_the_key_is_taken_by_chance():
    sample = Sample(0.25, None, Key.parse("?session"))
    for target in ("/", "/?sessions=1", "/session=1"):
        assert 100 < sum(sample.takes(request(target)) for _ in range(800)) < 300
