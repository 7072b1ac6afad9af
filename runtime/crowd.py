"""How many clients are connected, and how many of them wait for a reply."""

from __future__ import annotations


class Crowd:
    """Where all wait, no further request can come before one of them is answered: then there is nothing to wait for."""

    __slots__ = ("connected", "waiting")

    def __init__(self) -> None:
        self.connected = 0
        self.waiting = 0
