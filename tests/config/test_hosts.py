"""Which hosts are meant, and that settings call no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.hosts import Hosts
from config.load import ConfigError, load
from config.units import QuantityError


@pytest.mark.parametrize(
    ("written", "inside", "outside"),
    [
        (
            "models.example.com",
            ["models.example.com", "MODELS.example.com", "models.example.com."],
            ["a.models.example.com", "evil-models.example.com", "example.com"],
        ),
        ("*.models.svc", ["a.models.svc", "a.b.models.svc"], ["models.svc", "amodels.svc", "a.models.svc.evil.example", "10.0.0.1"]),
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "10.example.com", "10.0.0.1.evil.example", "::ffff:10.0.0.1"]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8", "192.0.2.70"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:DB8:0:0::1"], ["2001:db9::1", "10.0.0.1"]),
        ("localhost", ["localhost"], ["localhost.evil.example"]),
    ],
)
def test_hosts_are_those_that_are_written_and_no_others(written, inside, outside):
    hosts = Hosts.parse(written)
    assert all(map(hosts.include, inside))
    assert not any(map(hosts.include, outside))
    assert Hosts.parse(str(hosts)) == hosts


@pytest.mark.parametrize("written", ["", "*", "*.", "a.*.b", "10.0.0.1/8", "a b", "http://a", "a:80", "a/8", ".a"])
def test_what_are_no_hosts_is_an_error(written):
    with pytest.raises(QuantityError, match="expected a host's name"):
        Hosts.parse(written)


@given(st.text(max_size=30), st.sampled_from(["*.a.b", "a", "10.0.0.0/8", "::/0"]))
def test_a_strange_host_is_never_an_exception(host, written):
    assert Hosts.parse(written).include(host) in {True, False}


CALLS = [
    ("routes: [{upstream: http://evil.example}]", "routes[0].upstream"),
    ("routes: [{upstream: [http://ok.example, http://evil.example]}]", "routes[0].upstream"),
    ("routes: [{upstream: http://ok.example, shadows: [{url: http://evil.example}]}]", "routes[0].shadows[0].url"),
    ("store: {clickhouse: http://evil.example:8123}", "store.clickhouse"),
    ("alerts: {webhook: http://evil.example}", "alerts.webhook"),
    ("alerts: {watchdog: http://evil.example}", "alerts.watchdog"),
    ("alerts: {alertmanagers: http://evil.example}", "alerts.alertmanagers"),
    ("alerts: {receivers: [{name: a, webhook: http://evil.example}]}", "alerts.receivers[0].webhook"),
    ("alerts: {mail: {server: evil.example:25, sender: a@b.c}}", "alerts.mail.server"),
    ("traces: {endpoint: http://evil.example}", "traces.endpoint"),
]


@pytest.mark.parametrize(("settings", "key"), CALLS)
def test_what_is_not_allowed_is_not_called(tmp_path, settings, key):
    file = tmp_path / "driftline.yaml"
    allowed = "access: {egress: ['ok.example', '10.0.0.0/8']}\n"
    file.write_text(allowed + settings + "\n")
    with pytest.raises(ConfigError) as caught:
        load(file, routes_needed=False)
    [line] = str(caught.value).splitlines()
    assert key in line
    assert "expected a host that access.egress allows (ok.example, 10.0.0.0/8), found 'evil.example'; change it, or allow it" in line
    for host in ("ok.example", "10.1.2.3", "127.0.0.1", "localhost"):
        file.write_text(allowed + settings.replace("evil.example", host).replace("[http://ok.example, http://ok.example]", "http://ok.example") + "\n")
        load(file, routes_needed=False)


def test_the_issuer_s_keys_are_called_too(tmp_path):
    file = tmp_path / "driftline.yaml"
    tokens = "{issuer: a, audience: b, jwks: 'https://me@evil.example:8443/keys', grants: [{name: a, role: viewer}]}"
    file.write_text(f"access: {{egress: ok.example, tokens: {tokens}}}\n")
    with pytest.raises(ConfigError, match=r"access\.tokens\.jwks: expected a host that access\.egress allows \(ok\.example\), found 'evil\.example'"):
        load(file, routes_needed=False)
