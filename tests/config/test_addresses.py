from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.addresses import Address, Endpoint, Url, parse_shadow
from config.units import QuantityError, Share

names = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
hosts = names | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
paths = st.from_regex(r"(/[A-Za-z0-9._~%-]{1,8}){0,3}", fullmatch=True)
secrets = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())


@given(hosts | st.just(""), st.integers(0, 65535))
def test_a_printed_address_reads_back(host: str, port: int) -> None:
    assert Address.parse(str(Address(host, port))) == Address(host, port)


def test_a_unix_socket_is_an_address() -> None:
    assert Address.parse("unix:/run/driftline.sock") == Address("/run/driftline.sock", 0)
    assert str(Address("/run/driftline.sock", 0)) == "unix:/run/driftline.sock"


@given(st.sampled_from(["http", "https"]), hosts, st.integers(1, 65535), paths)
def test_a_printed_url_reads_back(scheme: str, host: str, port: int, path: str) -> None:
    url = Url(scheme, host, port, path)
    assert Url.parse(str(url)) == url


@given(hosts, st.integers(1, 65535), st.floats(0.01, 1))
def test_a_printed_shadow_reads_back(host: str, port: int, share: float) -> None:
    url = Url("http", host, port)
    assert parse_shadow(f"{url}@{Share(share)}") == ((url,), share)
    assert parse_shadow(str(url)) == ((url,), 1)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_an_example_that_is_right(text: str) -> None:
    for read in (Address.parse, Url.parse, Endpoint.parse, parse_shadow):
        try:
            read(text)
        except QuantityError as error:
            read(error.example)


@pytest.mark.parametrize("text", ["localhost", "::1:8080", "[::1", "[fe80:::1]:80", "a b:80", "host:65536", "host:", "http://host:80", "[::1]8080"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="expected an address HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:9000",
        "ftp://host",
        "http://",
        "http://:80",
        "http://host:0",
        "http://host:99999",
        "http://ho st",
        "http://host/#x",
        "http://h\r\n/",
        "http://hést/",
    ],
)
def test_what_is_not_an_http_url_is_refused(text: str) -> None:
    for kind in (Url, Endpoint):
        with pytest.raises(QuantityError, match="expected an http:// or https:// URL"):
            kind.parse(text)


@pytest.mark.parametrize("text", ["http://user@host", "http://host/?a=1"])
def test_an_upstream_with_a_user_or_a_query_is_refused_rather_than_ignored(text: str) -> None:
    with pytest.raises(QuantityError, match="without user, query or fragment"):
        Url.parse(text)


def test_a_url_knows_its_port_prefix_and_host_field() -> None:
    plain, secure = Url.parse("HTTP://[::1]/models/"), Url.parse("https://models:8443")
    assert (plain.host, plain.port, plain.path, plain.tls, plain.authority) == ("::1", 80, "/models", False, "[::1]")
    assert (secure.host, secure.port, secure.path, secure.tls, secure.authority) == ("models", 8443, "", True, "models:8443")


@given(secrets, secrets)
def test_an_endpoint_decodes_user_and_password_and_prints_no_password(user: str, password: str) -> None:
    endpoint = Endpoint.parse(f"http://{quote(user, safe='')}:{quote(password, safe='')}@clickhouse:8123/db?a=1")
    assert (endpoint.user, endpoint.password) == (user, password)
    assert (endpoint.address, endpoint.path, endpoint.query) == ("http://clickhouse:8123/db?a=1", "/db", "a=1")
    assert str(endpoint) == repr(endpoint) == f"http://{quote(user, safe='')}:***@clickhouse:8123/db?a=1"


def test_an_error_about_a_url_shows_no_password() -> None:
    with pytest.raises(QuantityError) as refused:
        Endpoint.parse("http://me:hunter2@host:99999")
    assert "hunter2" not in str(refused.value)


def test_a_shadow_says_which_of_its_parts_is_wrong() -> None:
    with pytest.raises(QuantityError, match=r"a share between 0% and 100%, found '200%'; for example: http://127.0.0.1:9001@25%"):
        parse_shadow("http://host@200%")


def test_a_unix_socket_has_a_path_and_nothing_else() -> None:
    url = Url.parse("unix:///run/model.sock")
    assert (url, str(url), url.tls, url.path, url.authority) == (Url("unix", "/run/model.sock", 0), "unix:/run/model.sock", False, "", "localhost")


@pytest.mark.parametrize("text", ["unix:run/model.sock", "unix:", "unix:/", "unix:/with space", f"unix:/{'a' * 107}"])
def test_a_path_that_no_socket_can_have_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="unix:/PATH"):
        Url.parse(text)
