"""A request to forget: to the monitor that holds the store, else done by this process."""

from __future__ import annotations

import http.client
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec

from config.settings import Settings
from driftline.forgetting import Forgetting, forgettable
from driftline.store_access import MonitorConnection, connect_to_monitor, opened_store
from privacy.keys import hashers
from records.audit import user_name
from records.forgetting import ForgetReport, ForgetRequest
from records.ports import StoreUnavailableError
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
    try:
        connection.request("POST", "/forget", msgspec.json.encode(wanted), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
    except http.client.HTTPException as error:
        raise StoreUnavailableError(f"the monitor broke off its answer ({type(error).__name__}); ask again: doing it twice is the same as once") from error
    finally:
        connection.close()
    if reply.status == http.client.OK:
        return msgspec.json.decode(content, type=ForgetReport)
    text = str(json.loads(content)["error"])
    raise ValueError(text) if reply.status == http.client.BAD_REQUEST else StoreUnavailableError(text)


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
