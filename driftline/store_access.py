"""Questions to the store from a command: through the monitor that holds it, else from the store itself.

The embedded store has one owner: while a monitor holds it, a query goes to the monitor's unix socket.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from config.settings import Settings
from driftline.unix_connection import UnixConnection
from records.audit import user_name
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError
from store.audit import AuditLog

if TYPE_CHECKING:
    from store.clickhouse.client import Store

SOCKET_NAME: Final = "monitor.sock"
"""In the data directory: where a monitor that holds the store answers `POST /sql`."""

_TIMEOUT_SECONDS: Final = 120  # the store gives up first
_CHUNK_BYTES: Final = 64 * 1024


Ask: TypeAlias = Callable[[str, str], bytes]
"""Takes a query and an output format; raises what `ask` raises."""


class MonitorConnection(UnixConnection):
    """To a monitor."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _TIMEOUT_SECONDS)


def connect_to_monitor(settings: Settings) -> MonitorConnection | None:
    """Return a connection to the monitor that holds the data directory, None where there is none. Raises OSError."""
    connection = MonitorConnection(Path(settings.data_dir) / SOCKET_NAME)
    try:
        connection.connect()
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def order(connection: MonitorConnection, path: str, wanted: msgspec.Struct, advice: str) -> bytes:
    """Have the monitor do something, close the connection, and return its report in JSON; `advice` is for whoever does not get to see one.

    Raises ValueError where it cannot be done, StoreUnavailableError where it cannot be done now, or OSError, each with a sentence for the user.
    """
    try:
        connection.request("POST", path, msgspec.json.encode(wanted), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
    except http.client.HTTPException as error:
        raise StoreUnavailableError(f"the monitor broke off its answer ({type(error).__name__}); {advice}") from error
    finally:
        connection.close()
    if reply.status == http.client.OK:
        return content
    text = str(json.loads(content)["error"])
    raise ValueError(text) if reply.status == http.client.BAD_REQUEST else StoreUnavailableError(text)


def ask(settings: Settings, query: str, output_format: str) -> Iterator[bytes]:
    """Return the answer to a read-only query, in pieces, in a format of ClickHouse's.

    Raises QueryRefusedError, QueryFailedError, StoreUnavailableError or OSError, each with a sentence for the user.
    """
    connection = connect_to_monitor(settings) if settings.store.clickhouse is None else None
    if connection is not None:
        return _ask_monitor(connection, query, output_format)
    return iter([_ask_store(settings, query, output_format)])


def _ask_monitor(connection: MonitorConnection, query: str, output_format: str) -> Iterator[bytes]:
    try:
        connection.request("POST", "/sql", json.dumps({"query": query, "format": output_format}), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        if reply.status != http.client.OK:
            raise _error(reply)
        while chunk := reply.read(_CHUNK_BYTES):
            yield chunk
        if reply.length:
            raise http.client.IncompleteRead(b"", reply.length)
    except http.client.HTTPException as error:
        raise StoreUnavailableError(f"the monitor broke off its answer ({type(error).__name__}); see its log") from error
    finally:
        connection.close()


def _error(reply: http.client.HTTPResponse) -> Exception:
    text = str(json.loads(reply.read())["error"])
    return QueryRefusedError(text) if reply.status == http.client.BAD_REQUEST else QueryFailedError(text)


def _ask_store(settings: Settings, query: str, output_format: str) -> bytes:
    from store.clickhouse.readonly import ReadOnlyQueries  # noqa: PLC0415 - asking the monitor does not need it, and answers ten times sooner without

    with opened_store(settings) as store:
        _put_on_record(settings, "sql", query)
        return ReadOnlyQueries(store)(query, output_format)


@contextmanager
def questions(settings: Settings) -> Iterator[Ask]:
    """Yield what answers many queries: a store without a monitor is opened once for all of them. Raises what `ask` raises."""
    connection = connect_to_monitor(settings) if settings.store.clickhouse is None else None
    if connection is not None:
        connection.close()
        yield lambda query, output_format: b"".join(ask(settings, query, output_format))
        return
    from store.clickhouse.readonly import ReadOnlyQueries  # noqa: PLC0415 - as above

    with opened_store(settings) as store:
        yield ReadOnlyQueries(store)


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """Open the store in this process, for as long as the context lasts. Raises StoreUnavailableError with a sentence for the user."""
    from store.clickhouse.client import STORE_NAME, open_store  # noqa: PLC0415 - likewise
    from store.owner import HeldError  # noqa: PLC0415

    directory = Path(settings.data_dir)
    if settings.store.clickhouse is None and not (directory / STORE_NAME).is_dir():
        raise StoreUnavailableError(f"there is no store in {directory}: name the directory with --data-dir, or a server with --clickhouse")
    _put_on_record(settings, "open store", f"driftline {_command_word()}")
    try:
        store = open_store(directory, settings.store)
    except HeldError as error:
        raise StoreUnavailableError(f"{error} It does not answer on {directory / SOCKET_NAME}.") from error
    try:
        yield store
    finally:
        store.close()


def _put_on_record(settings: Settings, action: str, what: str) -> None:
    """Say in the audit trail of the data directory, if there is one here, what this process does without a monitor. Raises OSError."""
    directory = Path(settings.data_dir)
    if not directory.is_dir():
        return
    try:
        AuditLog(directory)(user_name(os.getuid()), action, what)
    except OSError as error:
        raise OSError(
            f"this cannot be put on record in {directory}, so it is not done: {error.strerror}; ask as its owner, or name another --data-dir"
        ) from error


def _command_word() -> str:
    """Return which command this process is; its arguments may name whom nobody is to name."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")
