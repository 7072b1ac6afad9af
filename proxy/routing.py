"""Which route a request takes. Pure: a table of paths, looked up by the longest prefix that ends at a boundary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

Choice = TypeVar("Choice")

_BOUNDARIES: Final = b"/?:"
"""What may follow a prefix: `/v1/models/fraud` takes `/v1/models/fraud:predict`, and leaves `/v1/models/fraudulent` alone."""


class RoutingTable(Generic[Choice]):
    """Routes by path prefix.

    >>> table = RoutingTable([("/", "all"), ("/v2/models/fraud", "fraud")])
    >>> table.find(b"/v2/models/fraud/infer"), table.find(b"/v2/models/fraud2/infer")
    ('fraud', 'all')
    """

    def __init__(self, routes: Iterable[tuple[str, Choice]]) -> None:
        by_length = sorted(((path.encode(), choice) for path, choice in routes), key=lambda route: -len(route[0]))
        self._routes = tuple(by_length)
        only = self._routes[0] if len(self._routes) == 1 else None
        self._only = only[1] if only is not None and only[0] == b"/" else None

    def find(self, target: bytes) -> Choice | None:
        """Return the choice for a request target in origin form; None where no route takes it."""
        if self._only is not None:
            return self._only
        for prefix, choice in self._routes:
            if target.startswith(prefix) and (len(target) == len(prefix) or prefix.endswith(b"/") or target[len(prefix)] in _BOUNDARIES):
                return choice
        return None
