from fractions import Fraction
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.units import Address, Budget, Bytes, Endpoint, QuantityError, Seconds, Share, Url, parse_shadow

names = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
hosts = names | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
paths = st.from_regex(r"(/[A-Za-z0-9._~%-]{1,8}){0,3}", fullmatch=True)
secrets = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())


@given(st.integers(0, 1 << 60))
def test_a_printed_size_reads_back(count: int) -> None:
    assert Bytes.parse(str(Bytes(count))) == count


@given(st.integers(0, 10**12), st.sampled_from([1, 10, 1000]))
def test_a_printed_duration_reads_back(count: int, per_second: int) -> None:
    seconds = Seconds(count / per_second)
    assert Seconds.parse(str(seconds)) == seconds


@given(st.floats(0, 1).filter(lambda share: share == 0 or share > 1e-9))
def test_a_printed_share_reads_back(share: float) -> None:
    assert Share.parse(str(Share(share))) == share


@given(hosts | st.just(""), st.integers(0, 65535))
def test_a_printed_address_reads_back(host: str, port: int) -> None:
    assert Address.parse(str(Address(host, port))) == Address(host, port)


@given(st.sampled_from(["http", "https"]), hosts, st.integers(1, 65535), paths)
def test_a_printed_url_reads_back(scheme: str, host: str, port: int, path: str) -> None:
    url = Url(scheme, host, port, path)
    assert Url.parse(str(url)) == url


@given(hosts, st.integers(1, 65535), st.floats(0.01, 1))
def test_a_printed_shadow_reads_back(host: str, port: int, share: float) -> None:
    url = Url("http", host, port)
    assert parse_shadow(f"{url}@{Share(share)}") == (url, share)
    assert parse_shadow(str(url)) == (url, 1)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_printed_budget_reads_back(alerts: int, count: int) -> None:
    for budget in (Budget(alerts, windows=count), Budget(alerts, Seconds(count))):
        assert Budget.parse(str(budget)) == budget


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_an_example_that_is_right(text: str) -> None:
    for read in (Bytes.parse, Seconds.parse, Share.parse, Address.parse, Url.parse, Endpoint.parse, Budget.parse, parse_shadow):
        try:
            read(text)
        except QuantityError as error:
            read(error.example)


@given(st.fractions(0, 10**6, max_denominator=1).map(lambda number: number / 8), st.sampled_from(["KiB", "kib", "KIB"]))
def test_fractions_of_a_unit_are_exact(number: Fraction, unit: str) -> None:
    assert Bytes.parse(f"{float(number)} {unit}") == number * 1024


@pytest.mark.parametrize(
    ("text", "count"),
    [("64 KiB", 65536), ("64KiB", 65536), ("1 MiB", 1 << 20), ("4 GiB", 4 << 30), ("500 kB", 500_000), ("4096", 4096), ("1.5 KiB", 1536), ("0", 0)],
)
def test_sizes_are_counted_in_bytes(text: str, count: int) -> None:
    assert Bytes.parse(text) == count


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("10s", 10), ("5m", 300), ("2h", 7200), ("30 days", 2_592_000), ("1 day", 86_400), ("0.1s", 0.1), ("0s", 0), ("1 week", 604_800)],
)
def test_durations_are_counted_in_seconds(text: str, seconds: float) -> None:
    assert Seconds.parse(text) == seconds


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Bytes(64 << 10), "64 KiB"),
        (Bytes(500_000), "500 kB"),
        (Bytes(1234), "1234 B"),
        (Bytes(0), "0 B"),
        (Seconds(0.25), "250ms"),
        (Seconds(90), "90s"),
        (Seconds(600), "10m"),
        (Seconds(86_400), "1 day"),
        (Seconds(0), "0s"),
        (Share(0.25), "25%"),
        (Share(1), "100%"),
        (Share(0.125), "12.5%"),
    ],
)
def test_quantities_print_in_the_largest_unit_that_is_exact(quantity: object, text: str) -> None:
    assert str(quantity) == text


@pytest.mark.parametrize("text", ["", "64 parsecs", "-1", "1.5", "0.3 B", "KiB", "1 2", "1e3", "٣", "9" * 50])
def test_what_is_not_a_whole_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match=r"expected a size with its unit .*; for example: 64 KiB"):
        Bytes.parse(text)


@pytest.mark.parametrize("text", ["10", "ten s", "-1s", "1h30m", "1 fortnight", ""])
def test_a_duration_without_its_unit_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match=r"expected a duration with its unit .*; for example: 10s"):
        Seconds.parse(text)


@pytest.mark.parametrize("text", ["101%", "1.5", "-1%", "25 percent", "%"])
def test_a_share_outside_of_0_to_1_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="expected a share between 0% and 100%"):
        Share.parse(text)


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


@pytest.mark.parametrize("text", ["0 per 30 days", "1 per 0 windows", "1 per 0 days", "1 per 30", "often", "1 per windows", "-1 per 30 days"])
def test_a_budget_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="expected a number of alerts per time or per windows"):
        Budget.parse(text)


def test_a_shadow_says_which_of_its_parts_is_wrong() -> None:
    with pytest.raises(QuantityError, match=r"a share between 0% and 100%, found '200%'; for example: http://127.0.0.1:9001@25%"):
        parse_shadow("http://host@200%")


def test_quantities_compute_as_plain_numbers() -> None:
    assert Bytes.parse("1 KiB") + 1 == 1025
    assert Seconds.parse("1s") * 1e9 == 1e9
    assert Share.parse("50%") * 10 == 5
