"""A request to forget: to the monitor that holds the store, else done by this process."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec

from config.settings import Settings
from driftline.forgetting import Forgetting, forgettable
from driftline.store_access import MonitorConnection, connect_to_monitor, opened_store, order
from privacy.keys import hashers
from records.audit import user_name
from records.forgetting import ForgetReport, ForgetRequest
from store.audit import AuditLog
from store.clickhouse.forgetting import Forgetter
from store.directories import make_private
from store.owner import take_lock
from store.spool.listing import LOADER_STATE_NAME, SPOOL_LOCK_NAME
from store.spool.state import LoaderState, read_state


def send(settings: Settings, wanted: ForgetRequest) -> ForgetReport:
    """Return what was done. Raises ValueError, StoreUnavailableError or OSError with a sentence for the user."""
    connection = connect_to_monitor(settings)
    return _forget_here(settings, wanted) if connection is None else _ask_monitor(connection, wanted)


def _ask_monitor(connection: MonitorConnection, wanted: ForgetRequest) -> ForgetReport:
    return msgspec.json.decode(order(connection, "/forget", wanted, "ask again: doing it twice is the same as once"), type=ForgetReport)


def _forget_here(settings: Settings, wanted: ForgetRequest) -> ForgetReport:
    """Delete from the store; what waits in the spool is left to the next monitor, which finds the request in the state."""
    keys = hashers(settings.privacy.hash_keys)
    forgettable(wanted, keys)
    spool, directory = settings.spool_directory, Path(settings.data_dir)
    with opened_store(settings) as store, ExitStack() as stack:
        make_private(spool)
        make_private(directory)
        stack.callback(os.close, take_lock(spool / SPOOL_LOCK_NAME, f"The spool {spool}", "--spool"))
        loaded = read_state(spool / LOADER_STATE_NAME, LoaderState) or LoaderState()
        forgetting = Forgetting(spool, Forgetter(store), lambda: loaded.cursors, keys, AuditLog(directory))
        return forgetting.forget(wanted, user_name(os.getuid()), time.time_ns())
