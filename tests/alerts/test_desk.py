"""Verdicts and status reports in, notifications out."""

import asyncio
import contextlib

import msgspec
import pytest

from alerts.book import Links
from alerts.desk import AlertDesk, DeskState
from alerts.receivers import Recipient
from records.alert import AlertState
from records.metrics import Metric
from records.verdict import DriftState

LINKS = Links(runbook="docs/runbooks/README.md", console="http://127.0.0.1:8081")


class Notifier:
    def __init__(self) -> None:
        self.taken = []

    async def send(self, alerts):
        self.taken += alerts


@pytest.fixture
def notifier() -> Notifier:
    return Notifier()


async def deliver(desk: AlertDesk) -> None:
    task = asyncio.create_task(desk.run())
    await asyncio.wait_for(desk.drained(), 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_drift_is_told_to_every_notifier_when_it_begins_and_when_it_ends(notifier, make_verdict, noon_ns):
    second = Notifier()
    desk = AlertDesk(LINKS, {"log": Recipient(notifier), "webhook": Recipient(second)}, DeskState())
    for index, state in enumerate([DriftState.OK, DriftState.FIRING, DriftState.FIRING, DriftState.OK, DriftState.OK]):
        desk.on_verdict(make_verdict(index, state=state), noon_ns + index)
    await deliver(desk)
    assert [alert.state for alert in notifier.taken] == [AlertState.FIRING, AlertState.RESOLVED]
    assert notifier.taken == second.taken
    assert notifier.taken[0].features == ("mean area", "worst area")


async def test_the_changes_are_returned_for_those_who_keep_them(make_verdict, noon_ns):
    desk = AlertDesk(LINKS, {}, DeskState())
    [change] = desk.on_verdict(make_verdict(), noon_ns)
    assert change.name == "ModelDataDrift"
    assert desk.on_verdict(make_verdict(1), noon_ns + 1) == ()


async def test_losses_and_a_store_that_stays_down_are_told(notifier, make_report):
    desk = AlertDesk(LINKS, {"log": Recipient(notifier)}, DeskState())
    desk.on_status(make_report(0))
    desk.on_status(make_report(10, dropped={"spool_full": 3}, down_since_seconds=5))
    desk.on_status(make_report(306, dropped={"spool_full": 3}, down_since_seconds=5))
    desk.on_status(make_report(700, dropped={"spool_full": 3}))
    await deliver(desk)
    assert [(alert.name, alert.state.value) for alert in notifier.taken] == [
        ("ExchangesDropped", "firing"),
        ("StoreUnreachable", "firing"),
        ("ExchangesDropped", "resolved"),
        ("StoreUnreachable", "resolved"),
    ]


async def test_active_alerts_come_before_resolved_ones(make_verdict, noon_ns):
    desk = AlertDesk(LINKS, {}, DeskState())
    desk.on_verdict(make_verdict(model="a"), noon_ns)
    desk.on_verdict(make_verdict(1, model="a", state=DriftState.OK), noon_ns + 1)
    desk.on_verdict(make_verdict(model="b"), noon_ns + 2)
    assert [(alert.labels["model"], alert.state.value) for alert in desk.alerts] == [("b", "firing"), ("a", "resolved")]


async def test_a_killed_monitor_resumes_without_telling_twice_or_forgetting(notifier, make_verdict, make_report, noon_ns):
    desk = AlertDesk(LINKS, {"log": Recipient(notifier)}, DeskState())
    desk.on_verdict(make_verdict(), noon_ns)
    await deliver(desk)
    desk.on_status(make_report(1, dropped={"poison": 1}))  # killed before it is delivered
    saved = msgspec.json.decode(msgspec.json.encode(desk.state), type=DeskState)
    again = AlertDesk(LINKS, {"log": Recipient(notifier)}, saved)
    assert again.state == desk.state
    again.on_verdict(make_verdict(1), noon_ns + 1)
    again.on_status(make_report(2, dropped={"poison": 1}))
    await deliver(again)
    assert [alert.name for alert in notifier.taken] == ["ModelDataDrift", "ExchangesDropped"]


async def test_alerts_and_notifications_are_counted(notifier, make_verdict, noon_ns):
    desk = AlertDesk(LINKS, {"log": Recipient(notifier)}, DeskState())
    assert set(desk.counters().values()) == {0}
    desk.on_verdict(make_verdict(), noon_ns)
    desk.on_verdict(make_verdict(1, state=DriftState.OK), noon_ns)
    await deliver(desk)
    counters = desk.counters()
    assert counters[Metric.ALERTS.metric_name, "ModelDataDrift", "page"] == 1
    assert counters[Metric.NOTIFICATIONS.metric_name, "log"] == 2
    assert counters[Metric.NOTIFICATION_FAILURES.metric_name, "log"] == 0


async def test_another_baseline_ends_the_drift_of_its_model_alone(notifier, make_verdict, noon_ns):
    desk = AlertDesk(LINKS, {"log": Recipient(notifier)}, DeskState())
    for model in ("fraud", "other"):
        desk.on_verdict(msgspec.structs.replace(make_verdict(), model=model), noon_ns)
    assert desk.drift_alerted_ns("fraud") == desk.drift_alerted_ns("other")
    [change] = desk.on_baseline("fraud", noon_ns + 1)
    assert (change.state, change.labels["model"]) == (AlertState.RESOLVED, "fraud")
    assert (desk.drift_alerted_ns("fraud"), desk.drift_alerted_ns("other") is None) == (None, False)
    assert desk.on_baseline("fraud", noon_ns + 2) == ()
