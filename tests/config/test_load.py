import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.addresses import Address, Url
from config.addresses import written as as_text
from config.declare import Section, declarations
from config.document import read_document
from config.load import ConfigError, load
from config.settings import RouteSettings, Settings, ShadowSettings

ROUTE = "routes: [{upstream: http://127.0.0.1:9000}]\n"


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "driftline.yaml"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    return write


def refusal(file: Path | None, options: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(file, options)
    return [line.replace(f"{file.parent}/" if file else "", "") for line in str(refused.value).splitlines()]


def test_a_file_gives_parsed_values_and_defaults(written) -> None:
    settings = load(
        written("""
        proxy: {listen: ":80", capture: 1 MiB, grace: 250ms}
        routes:
          - upstream: http://127.0.0.1:9000/models
            version: 3.10
            model: no
            shadows: [{url: http://candidate, share: 25%}, {url: http://other, name: other}]
        """)
    )
    assert (settings.proxy.listen, settings.proxy.capture, settings.proxy.grace, settings.proxy.workers) == (Address("", 80), 1 << 20, 0.25, 1)
    route = settings.routes[0]
    assert (route.upstream, route.version, route.model) == ((Url("http", "127.0.0.1", 9000, "/models"),), "3.10", "no")
    assert [(shadow.name, shadow.share, shadow.timeout) for shadow in route.shadows] == [("shadow-1", 0.25, 10), ("other", 1, 10)]


def test_an_upstream_may_have_several_endpoints(written) -> None:
    settings = load(
        written("""
        routes:
          - upstream: [http://a:9000, "http://[::1]:9000"]
            shadows: [{url: [unix:/run/b.sock, unix:///run/c.sock]}, {url: "http://d, http://e"}]
        """)
    )
    (route,) = settings.routes
    assert as_text(route.upstream) == "http://a:9000, http://[::1]:9000"
    assert [as_text(shadow.url) for shadow in route.shadows] == ["unix:/run/b.sock, unix:/run/c.sock", "http://d, http://e"]


def test_a_section_whose_keys_are_all_commented_out_has_its_defaults(written) -> None:
    assert load(written(ROUTE + "proxy:\n  # listen: x\n")).proxy.listen == Address("127.0.0.1", 8080)


def test_nothing_is_the_default_of_what_is_off_by_default(written) -> None:
    settings = load(written("routes: [{upstream: http://a, model: null}]\nalerts: {webhook: }\n"))
    assert (settings.alerts.webhook, settings.routes[0].model) == (None, "")


def test_the_spool_lies_in_the_data_directory_unless_the_file_says_where(written) -> None:
    assert load(written(ROUTE + "data_dir: /data")).spool_directory == Path("/data/spool")
    assert load(written(ROUTE + "spool: {directory: /fast}")).spool_directory == Path("/fast")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "routes:\n  - upstream: localhost 9000",
            "driftline.yaml:2: routes[0].upstream: expected an http:// or https:// URL without user, query or fragment, or unix:/PATH, found 'localhost 9000'; for example: upstream: http://127.0.0.1:9000",
        ),
        (ROUTE + "proxy:\n  listn: ':80'", "driftline.yaml:3: proxy.listn: expected a known setting, found 'listn'; did you mean listen?"),
        ("upstream: x\n" + ROUTE, "driftline.yaml:1: upstream: expected a known setting, found 'upstream'; did you mean routes[0].upstream?"),
        (ROUTE + "listen: ':80'", "driftline.yaml:2: listen: expected a known setting, found 'listen'; did you mean proxy.listen?"),
        (
            ROUTE + "zzz: 1",
            "driftline.yaml:2: zzz: expected a known setting, found 'zzz'; known here: admin, admin_tls, access, data_dir, watch, proxy, routes, privacy, spool, store, drift, labels, alerts, traces, runtime, injector",
        ),
        (
            ROUTE + "watch: false",
            "driftline.yaml:2: watch: expected store.clickhouse, a server to bring what is captured to, found none; for example: clickhouse: http://user@clickhouse:8123/driftline",
        ),
        (ROUTE + "proxy: {workers: -1}", "driftline.yaml:2: proxy.workers: expected from 1 to 256, found '-1'; for example: workers: 1"),
        (ROUTE + "proxy: {workers: 2.5}", "driftline.yaml:2: proxy.workers: expected a whole number, found '2.5'; for example: workers: 1"),
        (ROUTE + "proxy: {workers: true}", "driftline.yaml:2: proxy.workers: expected a whole number, found 'true'; for example: workers: 1"),
        (
            ROUTE + "drift: {window_rows: 9}",
            "driftline.yaml:2: drift.window_rows: expected at least 10, found '9'; for example: window_rows: 1000",
        ),
        (
            "routes:\n- upstream: http://127.0.0.1:9000\n  slo: {latency: 200ms}",
            (
                "driftline.yaml:3: routes[0].slo.latency: expected one of the bounds that durations are counted by "
                "(5ms, 10ms, 25ms, 50ms, 75ms, 100ms, 250ms, 500ms, 750ms, 1s, 2500ms, 5s, 7500ms, 10s), found 200ms; for example: latency: 250ms"
            ),
        ),
        (
            "routes:\n- upstream: http://127.0.0.1:9000\n  slo: {availability: 100%}",
            "driftline.yaml:3: routes[0].slo.availability: expected less than 100%, which leaves no budget to alert on, found 100%; for example: availability: 99.9%",
        ),
        (
            ROUTE + "alerts: {receivers: [{name: a, pagerduty: /k, slack: /s}]}",
            "driftline.yaml:2: alerts.receivers[0]: expected one of pagerduty, opsgenie, slack, email and webhook, found pagerduty and slack; for example: email: oncall@example.com",
        ),
        (
            ROUTE + "alerts: {receivers: [{name: a, email: me@example.com}]}",
            (
                "driftline.yaml:2: alerts.receivers[0].email: expected alerts.mail to send it with, found none; "
                "for example: mail: {server: smtp.example.com:587, sender: driftline@example.com}"
            ),
        ),
        (
            ROUTE + "proxy: {connect_timeout: 5}",
            "driftline.yaml:2: proxy.connect_timeout: expected a duration with its unit (ms, s, m, h or days), found '5'; for example: connect_timeout: 5s",
        ),
        (
            ROUTE + "proxy: {listen: }",
            "driftline.yaml:2: proxy.listen: expected an address HOST:PORT with a port from 0 to 65535, or unix:/PATH, found nothing; for example: listen: 0.0.0.0:8080",
        ),
        (
            ROUTE + 'data_dir: "a\\nb"',
            "driftline.yaml:2: data_dir: expected text of printable characters, found 'a\\nb'; for example: data_dir: /var/lib/driftline",
        ),
        ("routes: [null]", "driftline.yaml:1: routes[0].upstream: expected this setting, found none; for example: upstream: http://127.0.0.1:9000"),
        (
            ROUTE + "drift: {numeric_statistics: [ks, kss]}",
            (
                "driftline.yaml:2: drift.numeric_statistics[1]: expected ks, wasserstein, psi, jensen_shannon, hellinger, chi_squared or g_test, found 'kss';"
                " for example: numeric_statistics: ks, wasserstein, psi, chi_squared"
            ),
        ),
        (
            ROUTE + "drift: {categorical_statistics: ks}",
            (
                "driftline.yaml:2: drift.categorical_statistics: expected psi, jensen_shannon, hellinger, chi_squared or g_test, found 'ks';"
                " for example: categorical_statistics: chi_squared, psi"
            ),
        ),
        (
            ROUTE + "drift: {numeric_statistics: []}",
            "driftline.yaml:2: drift.numeric_statistics: expected ks, wasserstein, psi, jensen_shannon, hellinger, chi_squared or g_test, or a list of them, found []; for example: numeric_statistics: ks, wasserstein, psi, chi_squared",
        ),
        (ROUTE + "data_dir: [a]", "driftline.yaml:2: data_dir: expected text of printable characters, found a list; for example: data_dir: /var/lib/driftline"),
        (
            ROUTE + "data_dir: !env HOME",
            "driftline.yaml:2: data_dir: expected text of printable characters, found !env 'HOME'; for example: data_dir: /var/lib/driftline",
        ),
        (ROUTE + "proxy: fast", "driftline.yaml:2: proxy: expected settings by name, found 'fast'; for example: listen: 0.0.0.0:8080"),
        (
            "routes: {upstream: http://a}",
            "driftline.yaml:1: routes: expected a list, found settings by name; for example: routes: [{upstream: http://127.0.0.1:9000}]",
        ),
        (
            "routes:\n- upstream:\n  - http://a/v1\n  - http://b/v2",
            "driftline.yaml:4: routes[0].upstream[1]: expected the scheme and the path of 'http://a/v1', found 'http://b/v2'; make a route of its own for it, or write both alike",
        ),
        (
            "routes: [{upstream: [https://a, unix:/run/b]}]",
            "driftline.yaml:1: routes[0].upstream[1]: expected the scheme and the path of 'https://a', found 'unix:/run/b'; make a route of its own for it, or write both alike",
        ),
        (
            "routes: [{upstream: http://a, shadows: [{url: [http://b, http://b]}]}]",
            "driftline.yaml:1: routes[0].shadows[0].url[1]: expected each endpoint once, found 'http://b' again; remove it",
        ),
        (
            "routes: [{upstream: [http://a, b]}]",
            "driftline.yaml:1: routes[0].upstream[1]: expected an http:// or https:// URL without user, query or fragment, or unix:/PATH, found 'b'; for example: upstream: http://127.0.0.1:9000",
        ),
        (
            "routes: [{upstream: http://a, health: {path: ready}}]",
            "driftline.yaml:1: routes[0].health.path: expected a path that starts with /, in ASCII without spaces, found 'ready'; for example: path: /v2/health/ready",
        ),
        (
            "routes: [{upstream: http://a, shadows: [{url: http://b, health: {path: /ready, timeout: 10s}}]}]",
            "driftline.yaml:1: routes[0].shadows[0].health.timeout: expected at most the interval (5s), found 10s; for example: timeout: 5s",
        ),
        (
            "routes: [{upstream: http://a, health: {interval: 1s}}]",
            "driftline.yaml:1: routes[0].health.path: expected this setting, found none; for example: path: /v2/health/ready",
        ),
        (
            "routes: [{upstream: http://a, tls: {ca: ca.crt}}]",
            "driftline.yaml:1: routes[0].tls: expected an https:// URL for these settings, found 'http://a'; change the URL, or remove them",
        ),
        (
            "routes: [{upstream: http://a, shadows: [{url: https://b, tls: {certificate: b.crt}}]}]",
            "driftline.yaml:1: routes[0].shadows[0].tls.key: expected the private key of b.crt, found none; for example: key: /etc/driftline/proxy.key",
        ),
        (
            "routes: [{upstream: https://a, tls: {key: a.key}}]",
            "driftline.yaml:1: routes[0].tls.certificate: expected the certificate of a.key, found none; for example: certificate: /etc/driftline/proxy.crt",
        ),
        (
            "routes: [{upstream: []}]",
            "driftline.yaml:1: routes[0].upstream: expected an http:// or https:// URL without user, query or fragment, or unix:/PATH, or a list of them, found []; for example: upstream: http://127.0.0.1:9000",
        ),
        ("routes: [{name: x}]", "driftline.yaml:1: routes[0].upstream: expected this setting, found none; for example: upstream: http://127.0.0.1:9000"),
        (ROUTE + "data_dir: a\ndata_dir: b", "driftline.yaml:3: data_dir: expected once, found again; it is first on line 2"),
        (
            ROUTE + "? [a]\n: 1",
            "driftline.yaml:2: ?: expected a known setting, found '?'; known here: admin, admin_tls, access, data_dir, watch, proxy, routes, privacy, spool, store, drift, labels, alerts, traces, runtime, injector",
        ),
        ("- a", "driftline.yaml:1: expected settings by name, found a list; for example: admin: 127.0.0.1:8081"),
        (
            "",
            "driftline.yaml: routes: expected at least one route, found none; for example: routes: [{upstream: http://127.0.0.1:9000}]",
        ),
        (
            "routes: []",
            "driftline.yaml:1: routes: expected at least one route, found none; for example: routes: [{upstream: http://127.0.0.1:9000}]",
        ),
        (
            ROUTE + "drift: {window_min_rows: 2000}",
            "driftline.yaml:2: drift.window_min_rows: expected at most drift.window_rows (1000), found 2000; for example: window_min_rows: 1000",
        ),
        (
            ROUTE + "proxy: {capture: 2 MiB}",
            "driftline.yaml:2: proxy.capture: expected two bodies and two heads (64 KiB) to fit into spool.segment_size (4 MiB), found 2 MiB; for example: capture: 1950 KiB",
        ),
        (
            ROUTE + "store: {cluster: main}",
            "driftline.yaml:2: store.cluster: expected store.clickhouse too, for the embedded store has no cluster, found none; for example: clickhouse: http://clickhouse:8123",
        ),
        (
            ROUTE + "store: {clickhouse: 'http://me:x@clickhouse:8123', password: /p}",
            "driftline.yaml:2: store.password: expected store.clickhouse to name a user and no password, found 'http://me:***@clickhouse:8123'; for example: clickhouse: http://driftline@clickhouse:8123",
        ),
        (
            ROUTE + "store: {password: /p}",
            "driftline.yaml:2: store.password: expected store.clickhouse to name a user and no password, found 'none'; for example: clickhouse: http://driftline@clickhouse:8123",
        ),
        (
            ROUTE + "spool: {max_size: 4 MiB}",
            "driftline.yaml:2: spool.max_size: expected at least two segments (8 MiB), found 4 MiB; for example: max_size: 2 GiB",
        ),
        (
            "routes: [{upstream: http://a, path: x}]",
            "driftline.yaml:1: routes[0].path: expected a path that starts with /, found 'x'; for example: path: /v2/models/fraud",
        ),
        (
            ROUTE + "admin: :9091\naccess: {anonymous: viewer}\nproxy: {listen: ':9091'}",
            "driftline.yaml:2: admin: expected another address than proxy.listen, found ':9091'; for example: admin: 127.0.0.1:8081",
        ),
        (
            ROUTE + "admin: unix:/run/admin.sock",
            "driftline.yaml:2: admin: expected an address HOST:PORT, found 'unix:/run/admin.sock'; for example: admin: 127.0.0.1:8081",
        ),
        (
            "proxy: {listen: 'unix:/run/a.sock'}\nroutes: [{upstream: 'unix:/run/a.sock'}]",
            "driftline.yaml:2: routes[0].upstream: expected another address than proxy.listen (unix:/run/a.sock), which would forward to itself, found 'unix:/run/a.sock'; change one of the two",
        ),
        (
            "routes: [{upstream: http://localhost:8080}]",
            "driftline.yaml:1: routes[0].upstream: expected another address than proxy.listen (127.0.0.1:8080), which would forward to itself, found 'http://localhost:8080'; change one of the two",
        ),
        (
            "proxy: {listen: ':9000'}\nroutes: [{upstream: http://a:9000, shadows: [{url: http://127.0.0.1:9000}]}]",
            "driftline.yaml:2: routes[0].shadows[0].url: expected another address than proxy.listen (:9000), which would forward to itself, found 'http://127.0.0.1:9000'; change one of the two",
        ),
        (
            "routes: [{upstream: http://a, format: xml}]",
            "driftline.yaml:1: routes[0].format: expected v2, generate, v1, torchserve, seldon, mlflow, sagemaker, azureml, openai, clipper or json, found 'xml'; for example: format: json",
        ),
        (
            "routes: [{upstream: http://a, format: v1, features: a.b}]",
            "driftline.yaml:1: routes[0].features: expected format: json beside an expression, found 'a.b'; add format: json, or remove it",
        ),
        ("routes: [{upstream: http://a, name: ''}]", "driftline.yaml:1: routes[0].name: expected a name, found ''; for example: name: fraud"),
    ],
)
def test_a_problem_says_file_line_key_what_was_expected_and_an_example(written, text: str, problem: str) -> None:
    assert refusal(written(text)) == [problem]


def test_the_example_for_a_capture_that_is_too_large_is_the_largest_that_fits(written) -> None:
    assert load(written(ROUTE + "proxy: {capture: 1950 KiB}")).proxy.capture == 1950 << 10
    assert "found 1996801 B" in refusal(written(ROUTE + f"proxy: {{capture: {(1950 << 10) + 1}}}"))[0]


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(written) -> None:
    lines = refusal(written("proxy: {workers: 0}\nroutes:\n  - upstream: nowhere\n    shadows: [{share: 200%}]\nadmin: 8081\n"))
    assert [line.split(": ")[0:2] for line in lines] == [
        ["driftline.yaml:1", "proxy.workers"],
        ["driftline.yaml:3", "routes[0].upstream"],
        ["driftline.yaml:4", "routes[0].shadows[0].share"],
        ["driftline.yaml:4", "routes[0].shadows[0].url"],
        ["driftline.yaml:5", "admin"],
    ]


def keys(section: type[Section]) -> set[str]:
    known = declarations(section).values()
    return {each.name for each in known}.union(*(keys(each.type) for each in known if each.is_section))


values = st.none() | st.booleans() | st.integers(-10, 10**7) | st.sampled_from(["http://a", "10s", "1 MiB", "50%", ":80", "/x", "x", ""])
trees = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(keys(Settings))), inner, max_size=4))


@given(trees, st.dictionaries(st.sampled_from(sorted(declarations(RouteSettings))), values, max_size=4))
def test_any_document_gives_settings_or_problems_with_lines(tree: Any, route: dict[str, Any]) -> None:
    for document in (tree, {"routes": [{"upstream": "http://a"} | route]}):
        settings, _, problems = read_document(yaml.safe_dump(document), Settings)
        assert (settings is None) == bool(problems)
        assert all(problem.line for problem in problems)


def test_routes_and_arms_are_told_apart_by_path_and_name(written) -> None:
    lines = refusal(
        written("""\
        routes:
          - {upstream: http://a, name: one, shadows: [{url: http://b, name: shadow-2}, {url: http://c}]}
          - {upstream: http://a, name: one, path: /x}
          - {upstream: http://a, name: two, path: /x, shadows: [{url: http://b, name: upstream}]}
        """)
    )
    assert [line.split("; ")[0] for line in lines] == [
        "driftline.yaml:2: routes[0].shadows[1].name: expected values that differ, found 'shadow-2' as in routes[0].shadows[0].name",
        "driftline.yaml:3: routes[1].name: expected values that differ, found 'one' as in routes[0].name",
        "driftline.yaml:4: routes[2].path: expected values that differ, found '/x' as in routes[1].path",
        "driftline.yaml:4: routes[2].shadows[0].name: expected values that differ, found 'upstream' as in routes[2].upstream",
    ]


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("data_dir: x\nproxy: [", 2, "needs quotes"),
        ("proxy:\n  listen: [::1]:8080", 2, "a value with [ or { in it needs quotes, for example: listen: '[::1]:8080'"),
        ("admin: b: c", 1, "a value with a colon and a space in it needs quotes"),
        ("proxy:\n\tworkers: 1", 2, "indent with spaces, not with tabs"),
        ("routes:\n- upstream: http://a\n name: x", 3, "is the line indented like those beside it?"),
        ("proxy: {}\nadmin: 'open\ndata_dir: x\n", 2, "is there a quote at the end?"),
        ("admin: *unknown", 1, "found undefined alias"),
        ("--- {}\n--- {}", 2, "but found another document"),
    ],
)
def test_faulty_yaml_is_a_problem_with_its_line_and_a_hint(written, text: str, line: int, hint: str) -> None:
    (problem,) = refusal(written(text))
    assert problem.startswith(f"driftline.yaml:{line}: not YAML: ")
    assert hint in problem


@pytest.mark.parametrize("text", ["[" * 5000, "a: \x07"])
def test_what_cannot_even_be_scanned_is_a_problem_of_the_file(written, text: str) -> None:
    (problem,) = refusal(written(text))
    assert problem.startswith("driftline.yaml: not YAML: found ")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"data_dir: caf\xe9"])
def test_a_file_that_is_not_utf_8_says_where(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "driftline.yaml").write_bytes(content)
    (line,) = refusal(tmp_path / "driftline.yaml")
    assert "expected text in UTF-8, found byte" in line


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.yaml") == ["absent.yaml: expected a file that can be read, found: No such file or directory"]
    assert refusal(tmp_path / "") == [f"{tmp_path.name}: expected a file that can be read, found: Is a directory"]


def test_environment_variables_are_not_read(written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    assert load(written(ROUTE + "data_dir: $HOME")).data_dir == "$HOME"


def test_options_override_the_file(written) -> None:
    file = written("proxy: {workers: 2, capture: 1 KiB}\nroutes: [{upstream: http://a, name: fraud, shadows: [{url: http://b}]}]\n")
    shadow = ShadowSettings(url=(Url("http", "c", 80),))
    settings = load(file, {"proxy.workers": 3, "data_dir": "/d", "route.shadows": (shadow,)})
    assert (settings.proxy.workers, settings.proxy.capture, settings.data_dir) == (3, 1024, "/d")
    (route,) = settings.routes
    assert (route.name, as_text(route.upstream), as_text(route.shadows[0].url), route.shadows[0].name) == ("fraud", "http://a", "http://c", "shadow-1")


def test_options_alone_make_one_route() -> None:
    assert load(options={"route.upstream": (Url("http", "a", 80),)}).routes == (RouteSettings(upstream=(Url("http", "a", 80),)),)


@pytest.mark.parametrize("options", [{}, {"route.baseline": "b"}])
def test_options_alone_without_an_upstream_say_how_to_give_one(options: dict[str, str]) -> None:
    assert refusal(None, options) == ["expected an upstream, found none; for example: --upstream http://127.0.0.1:9000"]


def test_options_of_a_route_need_a_file_with_one_route(written) -> None:
    file = written("routes: [{upstream: http://a, name: a}, {upstream: http://b, name: b, path: /b}]\n")
    assert refusal(file, {"route.upstream": (Url("http", "c", 80),)}) == [
        "expected a file with one route for options that change it, found 2; write them into the file instead"
    ]


def test_a_problem_of_an_option_names_its_key_and_not_the_file() -> None:
    route = {"route.upstream": (Url("http", "a", 80),), "proxy.capture": 8 << 20}
    assert refusal(None, route)[0].startswith("proxy.capture: expected two bodies")


def test_the_watching_side_needs_no_route() -> None:
    assert load(routes_needed=False).routes == ()


@pytest.mark.parametrize("admin", ["0.0.0.0:8081", ":8081", "192.0.2.7:8081", "'[::]:8081'", "driftline.example:8081"])
def test_an_admin_address_that_others_reach_needs_authentication(tmp_path, admin):
    file = tmp_path / "driftline.yaml"
    file.write_text(f"admin: {admin}\nroutes: [{{upstream: http://a}}]\n")
    with pytest.raises(
        ConfigError, match=r"driftline.yaml:1: admin: expected an address on loopback, for nobody has to show who they are, found .*access: {keys: "
    ):
        load(file)
    for told in ("keys: /etc/driftline/keys", "anonymous: viewer"):
        file.write_text(f"admin: {admin}\naccess: {{{told}}}\nroutes: [{{upstream: http://a}}]\n")
        assert load(file).anonymous_roles == ({"viewer"} if "viewer" in told else set())


@pytest.mark.parametrize("admin", ["127.0.0.1:8081", "localhost:8081", "'[::1]:8081'", "127.1.2.3:8081"])
def test_on_loopback_whoever_is_on_the_machine_may_do_everything_by_default(tmp_path, admin):
    file = tmp_path / "driftline.yaml"
    file.write_text(f"admin: {admin}\nroutes: [{{upstream: http://a}}]\n")
    assert load(file).anonymous_roles == {"admin"}


@pytest.mark.parametrize(
    ("jwks", "said"),
    [
        ("http://id.example.com/keys", "expected an https:// URL, for whoever is on the way could make keys"),
        ("ftp://id.example.com/keys", "expected an http:// or https:// URL, or a file"),
        ("https://id.example.com/keys", ""),
        ("http://127.0.0.1:9/keys", ""),
        ("/etc/driftline/jwks.json", ""),
    ],
)
def test_keys_of_tokens_come_over_tls_or_from_a_file(tmp_path, jwks, said):
    file = tmp_path / "driftline.yaml"
    tokens = f"{{issuer: https://id.example.com, audience: driftline, jwks: {jwks}, grants: [{{name: a, role: viewer}}]}}"
    file.write_text(f"access: {{tokens: {tokens}}}\nroutes: [{{upstream: http://a}}]\n")
    if said:
        with pytest.raises(ConfigError, match=said):
            load(file)
    else:
        assert load(file).access.authenticates
