"""The socket that clients connect to: one for all workers, so that who connects waits for whichever of them comes first."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from config.addresses import Address

BACKLOG: Final = 1024


def listen(address: Address, option: str = "--listen") -> socket.socket:
    """Return a listening socket. Raises OSError with a sentence for the user."""
    listening = socket.socket(socket.AF_UNIX if address.is_unix else socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if address.is_unix:
            _remove_abandoned(address.host)
            listening.bind(address.host)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(f"cannot listen on {address}: {error.strerror or error}; choose another address with {option}") from None
    listening.setblocking(False)
    return listening


def address_of(listening: socket.socket) -> Address:
    """Return where a socket listens."""
    name = listening.getsockname()
    return Address(name, 0) if listening.family == socket.AF_UNIX else Address(*name[:2])


def _remove_abandoned(path: str) -> None:
    """Remove a socket that a killed process has left: one that nobody listens on."""
    if not Path(path).is_socket():
        return  # what else may stand there is in use, and binding says so
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
