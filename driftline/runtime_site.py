"""The runtime alone: one process that serves models, and a supervisor that holds its sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from config.addresses import Address
from config.load import ConfigError
from config.settings import Settings
from driftline.handover import Handover
from driftline.listening import address_of, listen
from driftline.runtime_task import RuntimeSockets, inherited, runtime_plan
from driftline.supervisor import WORKER_STAGE, Plans, RefusedError

DEFAULT_ADDRESS: Final = Address("127.0.0.1", 8000)
_NEEDS_A_RESTART: Final = "runtime.listen and runtime.admin can change only by stopping and starting again"


class RuntimeSite:
    """Implements `driftline.supervisor.Site`. Raises ConfigError, OSError or ValueError, each with a sentence for the user, where nothing can be started."""

    def __init__(self, read: Callable[[], Settings], handover: Handover | None) -> None:
        self._read = read
        self._settings = settings = read()
        require_models(settings)
        self.fixed = _fixed(settings)
        if handover is not None and handover.fixed != self.fixed:
            raise ValueError(_NEEDS_A_RESTART)
        listening = listen(_address(settings)) if handover is None else socket.socket(fileno=handover.listening_fd)
        self._address = address_of(listening)
        self.listening_fd = listening.detach()
        self._sockets = RuntimeSockets(self.listening_fd, _operators_fd(settings.runtime.admin, handover))

    def plans(self) -> Plans:
        """See Site."""
        return Plans((runtime_plan(self._settings.runtime, self._sockets, WORKER_STAGE),))

    async def reload(self) -> Plans:
        """See Site."""
        try:
            settings = self._read()
            require_models(settings)
        except (ConfigError, OSError) as error:
            raise RefusedError(str(error)) from None
        if _fixed(settings) != self.fixed:
            raise RefusedError(_NEEDS_A_RESTART)
        self._settings = settings
        return self.plans()

    def keep(self) -> None:
        """See Site."""

    def announce(self, admin: str) -> str:  # noqa: ARG002 - there is no monitor here
        """See Site."""
        where = str(self._address) if self._address.is_unix else f"http://{self._address}"
        return f"serving the models in {Path(self._settings.runtime.models).resolve()} on {where}"

    def close(self) -> None:
        """See Site."""
        for address in (self._address, self._settings.runtime.admin):
            if address is not None and address.is_unix:
                with suppress(OSError):  # somebody has removed it already
                    Path(address.host).unlink()
        os.close(self.listening_fd)  # the operators' stays open, as long as somebody answers there


def _fixed(settings: Settings) -> dict[str, str]:
    """Return the settings that hold for as long as the process lives."""
    return {"runtime.listen": str(_address(settings)), "runtime.admin": str(settings.runtime.admin or "")}


def _operators_fd(address: Address | None, handover: Handover | None) -> int | None:
    """Return the socket for operators: a former self's, where that had one; None where they have no address of their own. Raises OSError."""
    if address is None:
        return None
    fds = inherited(handover, WORKER_STAGE)
    return fds[1] if len(fds) > 1 else listen(address, "runtime.admin in the settings").detach()


def _address(settings: Settings) -> Address:
    return settings.runtime.listen or DEFAULT_ADDRESS


def require_models(settings: Settings) -> None:
    """Raise ConfigError or OSError where there is nothing to serve from."""
    directory = settings.runtime.models
    if not directory:
        raise ConfigError("expected a directory of models, found none; for example: --models models")
    if not Path(directory).is_dir():
        raise OSError(f"the directory of models {directory} is not there; make it, or choose another one with --models")
