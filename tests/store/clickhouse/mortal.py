"""A loader that dies before or after the n-th thing that it does to the disk or to the store.

As a command it is a process that kills itself there: `python -m tests.store.clickhouse.mortal DIRECTORY URL POINT ROWS`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from config.addresses import Endpoint
from config.settings import StoreSettings
from store.clickhouse.client import Store, open_store
from store.clickhouse.loader import Loader
from tests.store.clickhouse.parts import make_loader


class Killed(BaseException):
    """Nothing of this loader runs any more."""


def die() -> None:
    raise Killed


class Mortal:
    """Counts what its loaders do, and ends the one that reaches `point`; 0 lets them live."""

    def __init__(self, end: Callable[[], None] = die) -> None:
        self.point = 0
        self._end = end
        self._done = 0

    def loader(self, directory: Path, store: Store, point: int, **limits) -> Loader:
        self.point, self._done = point, 0
        make_client = store.client

        def client():
            client = make_client()
            client.raw_insert, client.insert = self._counted(client.raw_insert), self._counted(client.insert)
            return client

        loader = make_loader(directory, store, **limits)
        loader._store = type("MortalStore", (), {"client": staticmethod(client)})
        loader._replace_state = self._counted(loader._replace_state)
        return loader

    def _counted(self, function):
        def call(*arguments, **keywords):
            self._tick()
            result = function(*arguments, **keywords)
            self._tick()
            return result

        return call

    def _tick(self) -> None:
        self._done += 1
        if self._done == self.point:
            self._end()


def main() -> None:
    directory, url, point, rows = sys.argv[1:]
    store = open_store(Path(directory) / "data", StoreSettings(clickhouse=Endpoint.parse(url) if url else None))
    mortal = Mortal(lambda: os.kill(os.getpid(), signal.SIGKILL))
    loader = mortal.loader(Path(directory), store, int(point), rows=int(rows))
    while loader.step(0.0) == 0.0:
        pass


if __name__ == "__main__":
    main()
