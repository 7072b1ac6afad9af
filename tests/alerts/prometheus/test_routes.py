"""The routes in the hands of Alertmanager's own tool: they are sound, and reach who is meant."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from alerts.prometheus.routes import routes_file
from config.addresses import Address, Endpoint
from config.hours import Hours
from config.settings import AlertSettings, MailSettings, ReceiverSettings, Settings
from records.alert import Severity

pytestmark = pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed: apt-get install prometheus-alertmanager")

HOOK = Endpoint.parse("http://user:p%20w@127.0.0.1:9095/hook?x=1")
SETTINGS = Settings(
    alerts=AlertSettings(
        receivers=(
            ReceiverSettings(name="on-call", severity=Severity.PAGE, pagerduty="/keys/pagerduty"),
            ReceiverSettings(name="risk", team="risk", severity=Severity.PAGE, opsgenie="/keys/opsgenie"),
            ReceiverSettings(name="odd", team='a "b" \\', webhook=HOOK),
            ReceiverSettings(name="chat", slack="/keys/slack"),
            ReceiverSettings(name="mail", severity=Severity.TICKET, email="oncall@example.com"),
        ),
        mail=MailSettings(server=Address.parse("smtp.example.com:587"), sender="driftline@example.com", user="driftline", password="/keys/mail"),
        ticket_hours=Hours.parse("mon-fri 09:00-17:00 Europe/Berlin"),
        watchdog=Endpoint.parse("https://example.com/ping"),
    )
)


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    file = tmp_path / "alertmanager.yaml"
    file.write_text(routes_file(SETTINGS))
    return file


@pytest.mark.parametrize("settings", [Settings(), SETTINGS], ids=["defaults", "receivers"])
def test_alertmanager_takes_the_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yaml").write_text(routes_file(settings))
    amtool("check-config", str(tmp_path / "alertmanager.yaml"))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "ModelDataDrift", "severity": "page"}, "page"),
        ({"alertname": "ModelDataDrift", "severity": "page", "team": "risk"}, "risk-page"),
        ({"alertname": "ShadowDiverging", "severity": "ticket", "team": "risk"}, "ticket"),  # the team has no receiver of its own for tickets
        ({"alertname": "ShadowDiverging", "severity": "ticket", "team": 'a "b" \\'}, 'a "b" \\-ticket'),
        ({"alertname": "ModelDataDrift", "severity": "page", "team": "unknown"}, "page"),
        ({"alertname": "ExchangesDropped", "severity": "ticket"}, "ticket"),
        ({"alertname": "Watchdog", "severity": "none"}, "watchdog"),
        ({"alertname": "SomebodyElses", "severity": "info"}, "nobody"),
    ],
)
def test_who_is_told(labels: dict[str, str], receiver: str, routes: Path) -> None:
    written = [f"{name}={json.dumps(value)}" for name, value in labels.items()]
    found = amtool("config", "routes", "test", f"--config.file={routes}", *written)
    assert found.strip() == receiver


def test_a_page_goes_to_everyone_who_takes_pages(routes: Path) -> None:
    page = next(part for part in routes.read_text().split("- name: ") if part.startswith("page\n"))
    assert "pagerduty_configs" in page
    assert "slack_configs" in page
    assert "email_configs" not in page


def test_without_receivers_the_file_says_that_nobody_is_told() -> None:
    assert "nobody is told" in routes_file(Settings())
