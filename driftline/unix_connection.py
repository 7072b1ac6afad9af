"""HTTP over a unix socket, for what asks another process of ours."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from config.addresses import socket_name


class UnixConnection(http.client.HTTPConnection):
    """Blocking, as its base; every wait ends after `timeout_seconds`."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        """Connect. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with socket_name(self._path) as name:
            self.sock.connect(name)
