"""Who somebody is, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from records.exchange import ErrorKind


class AccessRole(StrEnum):
    """What somebody may do. Nobody has more than they were given."""

    CLIENT = "client"  # send requests to the models, and nothing else
    REPORTER = "reporter"  # send labels and events, and read nothing
    VIEWER = "viewer"  # read metrics, verdicts and alerts, but no exchange
    OPERATOR = "operator"  # what reporters and viewers may; read exchanges, accept baselines
    ADMIN = "admin"  # everything

    def includes(self, needed: AccessRole) -> bool:
        """Return whether who has this role may do what needs another one.

        >>> AccessRole.OPERATOR.includes(AccessRole.VIEWER), AccessRole.VIEWER.includes(AccessRole.REPORTER)
        (True, False)
        """
        return needed is self or needed in _INCLUDED[self]


_NONE: Final[frozenset[AccessRole]] = frozenset()

_INCLUDED: Final[Mapping[AccessRole, frozenset[AccessRole]]] = MappingProxyType(
    {
        AccessRole.CLIENT: _NONE,
        AccessRole.REPORTER: _NONE,
        AccessRole.VIEWER: _NONE,
        AccessRole.OPERATOR: frozenset({AccessRole.REPORTER, AccessRole.VIEWER}),
        AccessRole.ADMIN: frozenset(AccessRole),
    }
)


class Identity(NamedTuple):
    """Somebody who has shown who they are, or who need not."""

    name: str
    """As records and the audit trail have it; empty where nobody was authenticated."""
    roles: frozenset[AccessRole]
    own_field: bytes = b""
    """The lower-case name of the header field that held a key of ours, for which upstreams and shadows have no use; empty where there is none.

    Tokens and passwords go on: services may look at them, too.
    """

    def may(self, needed: AccessRole) -> bool:
        """Return whether one of the roles is enough for what needs this one."""
        return needed in self.roles or any(role.includes(needed) for role in self.roles)


class Denied(NamedTuple):
    """A request that is refused for who sends it, or for how often."""

    status: int
    """401, 403, 429 or 503."""
    kind: ErrorKind
    reason: str
    field: bytes = b""
    """A line of the reply's head, with its end, that says what to show (RFC 9110 §11.6.1) or when to come back."""
