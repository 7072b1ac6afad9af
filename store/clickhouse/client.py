"""Opens the store: embedded in this process (chDB) or a ClickHouse server.

The embedded engine belongs to one process. chDB refuses a second one with a message that helps nobody, so a lock file with the owner's
process id is taken first. Threads each take a client of their own: a client answers one question at a time. A process that has opened the
embedded store must start others by spawning, never by forking: the engine's threads do not survive a fork.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final

import clickhouse_connect
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from config.addresses import Endpoint
from config.settings import StoreSettings
from records.ports import StoreUnavailableError
from store.clickhouse.ddl import on_cluster
from store.clickhouse.migrate import NewerStoreError, migrate
from store.clickhouse.retention import Retention, apply_retention
from store.directories import make_private
from store.owner import take_lock

DATABASE: Final = "driftline"
STORE_NAME: Final = "store"
LOCK_NAME: Final = "store.lock"
CONNECT_TIMEOUT_SECONDS: Final = 5
REPLY_TIMEOUT_SECONDS: Final = 60

_DEFAULTS: Final = StoreSettings()

_SETTINGS: Final[dict[str, Any]] = {
    # Acknowledged means stored. Server 26.2 made inserts asynchronous by default.
    "async_insert": 0,
    # The deduplication token saves work on a retry, also for views on the tables; older servers do not know all of these.
    "insert_deduplicate": 1,
    "deduplicate_insert": "enable",
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # What is read back is what was written, to the last bit.
    "precise_float_parsing": 1,
    "output_format_json_quote_64bit_integers": 0,
    # Days are partitions, and what waited in the spool through a long outage may be of many.
    "max_partitions_per_insert_block": 0,
}
_CLUSTER_SETTINGS: Final[dict[str, Any]] = {
    # Acknowledged means stored, by the shards and by most replicas of each; and what was acknowledged is seen, whichever replica is asked.
    "distributed_foreground_insert": 1,
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
    "select_sequential_consistency": 1,
    # A replica that is down makes the change when it is back.
    "distributed_ddl_output_mode": "throw_only_active",
}


_NESTED_CODES: Final = re.compile(r"(?:Code: \d+\. DB::Exception: )+(?=Code: \d+\. DB::Exception: )")

# What they warn of comes back as exceptions too, and an outage is said once and not at every attempt.
for _name in ("clickhouse_connect", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.ERROR)

FAILURES: Final = (ClickHouseError, NewerStoreError, OSError)
"""What asking the store may raise. It comes and goes: all of these may be over the next time."""


class Store(ABC):
    """ClickHouse at one place."""

    kind: ClassVar[str]
    """`embedded` or `server`."""

    def __init__(self, database: str, retention: Retention | None = None, cluster: str = "") -> None:
        """Without a `retention` the tables forget as they were told before."""
        self._database = database
        self._retention = retention
        self._cluster = cluster
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._schema_lock = threading.Lock()
        self._schema_current = False

    @property
    def cluster(self) -> str:
        """The cluster that the tables lie in, empty where there is none."""
        return self._cluster

    def client(self) -> Client:
        """Return a new client on the store's tables, which are brought to the current schema first. Close it sooner than the store where you can.

        Raises one of `FAILURES` where the store cannot be used.
        """
        client = self._connect()
        self._clients.add(client)
        try:
            for name, value in (_SETTINGS | _CLUSTER_SETTINGS if self._cluster else _SETTINGS).items():
                if name in client.server_settings:
                    client.set_client_setting(name, value)
            self._enter_database(client)
        except BaseException:
            client.close()
            raise
        return client

    def close(self) -> None:
        """Close all clients and give the store up."""
        for client in list(self._clients):
            client.close()

    @abstractmethod
    def _connect(self) -> Client: ...

    def _enter_database(self, client: Client) -> None:
        with self._schema_lock:  # whichever thread asks first brings the schema forward, once per process
            name = quote_identifier(self._database)
            if not self._schema_current and client.command(f"EXISTS DATABASE {name}") != 1:  # it may be there for an account that may not create it
                client.command(f"CREATE DATABASE IF NOT EXISTS {name}{on_cluster(self._cluster)}")
            client.database = self._database
            if not self._schema_current:
                self._bring_forward(client)
            self._schema_current = True

    def _bring_forward(self, client: Client) -> None:
        migrate(client, self._cluster)
        if self._retention:
            apply_retention(client, self._retention, self._cluster)


def open_store(data_directory: Path, settings: StoreSettings = _DEFAULTS, retention: Retention | None = None) -> Store:
    """Return the server's store where the settings name one, else the embedded one under `data_directory`; `retention` is for its owner to say.

    A server that is down is no error here: `client()` says so. Raises `HeldError` where another process owns the embedded store,
    `OSError` where the directory cannot be used.
    """
    server = settings.clickhouse
    return ServerStore(server, retention, settings.cluster, settings.password) if server else EmbeddedStore(data_directory, retention)


class Connection:
    """One client for any number of threads in turn: made when it is first asked for, and made again after a failure."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._client: Client | None = None

    @contextmanager
    def __call__(self) -> Iterator[Client]:
        """Yield the client; raise `StoreUnavailableError` where the store cannot be used."""
        with self._lock:
            try:
                self._client = self._client or self._store.client()
                yield self._client
            except FAILURES as error:
                if self._client is not None:
                    self._client.close()
                    self._client = None
                raise StoreUnavailableError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Return an engine's message without line breaks, with its code once, and not all of a long one."""
    return _NESTED_CODES.sub("", " ".join(str(error).split()))[:500]


class EmbeddedStore(Store):
    """chDB in this process, over `<data directory>/store`. The first client starts the engine, which takes about a second."""

    kind = "embedded"

    def __init__(self, data_directory: Path, retention: Retention | None = None) -> None:
        super().__init__(DATABASE, retention)
        make_private(data_directory)
        self._path = data_directory.resolve() / STORE_NAME
        self._lock = take_lock(data_directory / LOCK_NAME, f"The store in {data_directory}", "--data-dir")
        # Its import changes the working directory for a moment: here and not with the first client, when threads may use relative paths.
        import_module("chdb")

    def close(self) -> None:
        """Close all clients and let another process have the store."""
        super().close()
        os.close(self._lock)

    def _connect(self) -> Client:
        return clickhouse_connect.get_client(interface="chdb", path=str(self._path))


class ServerStore(Store):
    """A ClickHouse server, over HTTP. The URL's path is the database, its query holds options of clickhouse-connect such as `ca_cert`."""

    kind = "server"

    def __init__(self, server: Endpoint, retention: Retention | None = None, cluster: str = "", password_file: str = "") -> None:
        super().__init__(server.path.strip("/") or DATABASE, retention, cluster)
        self._server = server
        self._password_file = password_file

    def _connect(self) -> Client:
        password = self._password()
        try:
            return self._reach(password)
        except OperationalError as error:
            if error.code is not None:  # the server's own words
                raise
            address = f"{self._server.scheme}://{self._server.authority}"
            raise OperationalError(f"ClickHouse at {address} does not answer ({_reason(error)}): is it running, and is that its address?") from error

    def _reach(self, password: str) -> Client:
        server = self._server
        return clickhouse_connect.get_client(
            dsn=f"{server.scheme}://{server.authority}?{server.query}",
            username=server.user or None,
            password=password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            send_receive_timeout=REPLY_TIMEOUT_SECONDS,
            autogenerate_session_id=False,
            query_retries=0,
        )

    def _password(self) -> str:
        if not self._password_file:
            return self._server.password
        try:
            return Path(self._password_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise OperationalError(f"{self._password_file}: expected ClickHouse's password (store.password), found: {error}") from None


def _reason(error: BaseException | None) -> str:
    """Return what the system said, or the innermost error where it said nothing."""
    said = ""
    while error is not None:
        said = (isinstance(error, OSError) and error.strerror) or one_line(error)
        error = error.__cause__ or error.__context__ or getattr(error, "reason", None)
    return said
