from __future__ import annotations

import pytest

from driftline import archive as module
from driftline.archive import Archive
from driftline.feature_shelf import FeatureShelf
from records.ports import StoreUnavailableError
from store.audit import AuditLog, AuditReader


class Watching:
    """Has nothing to keep."""

    baselines = unstored = unstored_shadows = staticmethod(list)

    def __init__(self):
        self.features = FeatureShelf()


class Writer:
    """Takes alerts, and lets something happen meanwhile."""

    def __init__(self):
        self.taken, self.features, self.audit = [], [], []
        self.meanwhile = lambda: None
        self.audit_fails = False

    def write_features(self, batches):
        self.features += batches

    def write_audit(self, entries):
        if self.audit_fails:
            raise StoreUnavailableError("down")
        self.audit += [entry.what for entry in entries]

    def write_alerts(self, changes):
        self.meanwhile()
        self.taken += changes


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
def archive(writer, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_ALERTS_KEPT", 3)
    return Archive(Watching(), writer, AuditReader(tmp_path))


def changes(*names):
    return [f"change {name}" for name in names]


def test_changes_that_come_while_others_are_written_are_written_next(archive, writer):
    archive.put_alerts(changes(1, 2, 3))
    writer.meanwhile = lambda: archive.put_alerts(changes(4, 5))
    assert archive.step()
    writer.meanwhile = lambda: None
    assert archive.step()
    assert writer.taken == changes(1, 2, 3, 4, 5)


def test_while_the_store_is_down_the_latest_changes_are_kept(archive, writer):
    def fail():
        raise StoreUnavailableError("down")

    writer.meanwhile = fail
    archive.put_alerts(changes(1, 2, 3, 4))
    assert not archive.step()
    writer.meanwhile = lambda: None
    assert archive.step()
    assert writer.taken == changes(2, 3, 4)


def test_the_audit_trail_is_written_once_the_store_takes_it(archive, writer, tmp_path):
    AuditLog(tmp_path)("ada", "sql", "SELECT 1")
    writer.audit_fails = True
    assert not archive.step()
    writer.audit_fails = False
    assert archive.step()
    AuditLog(tmp_path)("ada", "sql", "SELECT 2")
    assert archive.step()
    assert writer.audit == ["SELECT 1", "SELECT 2"]
