import argparse
from pathlib import Path

import pytest

from config.addresses import Address, Url, written
from config.load import ConfigError
from config.options import add_config_option, add_option, add_shadow_option, settings_of
from config.settings import Settings
from config.units import Budget


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="driftline up")
    add_config_option(parser)
    add_option(parser, "--listen", "proxy.listen")
    add_option(parser, "--upstream", "route.upstream")
    add_shadow_option(parser)
    add_option(parser, "--data-dir", "data_dir")
    add_option(parser, "--workers", "proxy.workers")
    add_option(parser, "--budget", "drift.budget")
    return parser


def settings_from(parser: argparse.ArgumentParser, *arguments: str) -> Settings:
    return settings_of(parser.parse_args(arguments))


def test_options_give_settings(parser: argparse.ArgumentParser) -> None:
    settings = settings_from(
        parser,
        "--upstream",
        "http://a:9000, unix:/run/a.sock",
        "--shadow",
        "http://b,http://b2@25%",
        "--shadow",
        "http://c",
        "--listen",
        ":80",
        "--budget",
        "1 per 1000 windows",
    )
    (route,) = settings.routes
    assert route.upstream == (Url("http", "a", 9000), Url("unix", "/run/a.sock", 0))
    assert [(written(shadow.url), shadow.share, shadow.name) for shadow in route.shadows] == [
        ("http://b, http://b2", 0.25, "shadow-1"),
        ("http://c", 1, "shadow-2"),
    ]
    assert (settings.proxy.listen, settings.drift.budget) == (Address("", 80), Budget(1, windows=1000))


def test_what_is_not_given_stays_as_the_file_says(parser: argparse.ArgumentParser, tmp_path: Path) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text("data_dir: /d\nproxy: {workers: 2}\nroutes: [{upstream: http://a}]\n")
    settings = settings_from(parser, "--config", str(file), "--workers", "4")
    assert (settings.data_dir, settings.proxy.workers, settings.routes[0].upstream) == ("/d", 4, (Url("http", "a", 80),))


def test_a_faulty_file_is_an_error(parser: argparse.ArgumentParser, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: expected a file that can be read"):
        settings_from(parser, "--config", str(tmp_path / "absent.yaml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--listen", "x"],
            "argument --listen: expected an address HOST:PORT with a port from 0 to 65535, or unix:/PATH, found 'x'; for example: 0.0.0.0:8080",
        ),
        (["--workers", "0"], "argument --workers: expected from 1 to 256, found '0'; for example: 1"),
        (["--shadow", "http://a@x%"], "argument --shadow: expected a shadow's URL, or URL@SHARE, with a share between 0% and 100%, found 'x%'"),
    ],
)
def test_a_faulty_value_is_refused_by_name_with_an_example(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as left:
        parser.parse_args(arguments)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_help_explains_each_option_with_unit_and_default(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    lines = [" ".join(line.split()) for line in parser.format_help().splitlines()]
    assert "--listen HOST:PORT Where clients connect; also `unix:/path/of/socket`. (host:port, default 127.0.0.1:8080)" in lines
    assert (
        "--upstream URL The inference service that answers: one URL, or a list where several endpoints serve the same. (url, for example http://127.0.0.1:9000)"
        in lines
    )
    assert "--workers N Worker processes that share the listening address. (processes, from 1 to 256, default 1)" in lines
    assert "--data-dir DIR Where everything is kept: the spool, the embedded store, learned baselines. (directory, default driftline-data)" in lines


def test_an_option_can_be_required(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_option(parser, "--spool", "spool.directory", required=True)
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "the following arguments are required: --spool" in capsys.readouterr().err
    assert settings_of(parser.parse_args(["--spool", "/s"]), routes_needed=False).spool_directory == Path("/s")
