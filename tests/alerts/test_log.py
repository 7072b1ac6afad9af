"""Notifying the log."""

import json
import logging

from alerts.log import LogNotifier
from records.alert import AlertState


async def test_each_change_is_one_line_of_json(make_alert, caplog):
    with caplog.at_level(logging.INFO, "driftline.alerts"):
        await LogNotifier().send([make_alert(), make_alert(state=AlertState.RESOLVED)])
    firing, resolved = caplog.records
    assert (firing.levelname, resolved.levelname) == ("WARNING", "INFO")
    assert "\n" not in firing.getMessage()
    fields = json.loads(firing.getMessage())
    assert (fields["alert"], fields["state"], fields["model"], fields["started_at"]) == ("ModelDataDrift", "firing", "fraud", "2025-11-20T12:00:00.000Z")
    assert fields["description"] == "line one\nline two"
    assert fields["resolved_at"] is None
    assert fields["report_url"].endswith("/windows/7/report?baseline=00ff")
    assert "picture_url" not in fields
    assert json.loads(resolved.getMessage())["resolved_at"] == "2025-11-20T12:02:00.000Z"
