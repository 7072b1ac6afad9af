"""Who is told of which alert, and when."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from alerts.receivers import recipients, seconds_until
from config.addresses import Endpoint
from config.hours import Hours
from config.settings import AlertSettings, ReceiverSettings
from records.alert import Severity

HOOK = Endpoint.parse("http://127.0.0.1:9/hook")
RECEIVERS = (
    ReceiverSettings(name="on-call", severity=Severity.PAGE, webhook=HOOK),
    ReceiverSettings(name="risk", team="risk", severity=Severity.PAGE, webhook=HOOK),
    ReceiverSettings(name="chat", webhook=HOOK),
)


def told(settings: AlertSettings, alert) -> set[str]:
    return {name for name, recipient in recipients(settings, "http://console").items() if recipient.takes(alert)}


@pytest.mark.parametrize(
    ("team", "severity", "names"),
    [
        ("", Severity.PAGE, {"on-call (page)", "chat (page)"}),
        ("risk", Severity.PAGE, {"risk (page)"}),
        ("risk", Severity.TICKET, {"chat (ticket)"}),  # the team has no receiver of its own for tickets
        ("other", Severity.PAGE, {"on-call (page)", "chat (page)"}),
    ],
)
def test_teams_have_their_own_and_the_rest_goes_to_those_without(team, severity, names, make_alert) -> None:
    alert = make_alert()
    alert = replace(alert, severity=severity, labels=alert.labels | {"team": team})
    assert told(AlertSettings(receivers=RECEIVERS), alert) == names


def test_only_tickets_wait_for_working_hours() -> None:
    settings = AlertSettings(receivers=RECEIVERS, ticket_hours=Hours.parse("mon 00:00-00:01"))
    closed = {name: recipient.closed_seconds() > 0 for name, recipient in recipients(settings, "").items()}
    assert closed == {"on-call (page)": False, "risk (page)": False, "chat (page)": False, "chat (ticket)": closed["chat (ticket)"]}


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("2026-11-20 12:00", 0),  # a Friday
        ("2026-11-20 08:30", 1800),
        ("2026-11-20 17:00", 64 * 3600),  # until Monday at nine
        ("2026-11-22 09:00", 24 * 3600),
        ("2026-03-28 09:00", 47 * 3600),  # the clock goes forward on that Sunday
    ],
)
def test_the_time_until_working_hours(moment: str, seconds: int) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert seconds_until(Hours.parse("mon-fri 09:00-17:00 Europe/Berlin"), now) == seconds


def test_hours_may_last_until_midnight() -> None:
    now = datetime(2026, 11, 22, 23, 59, 30, tzinfo=ZoneInfo("UTC")).timestamp()
    assert seconds_until(Hours.parse("mon-sun 00:00-24:00"), now) == 0
