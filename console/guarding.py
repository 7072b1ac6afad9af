"""Who may ask for what on the admin address: a middleware, and a table in which each route is; what is not in it is refused.

Browsers send along what they know of us, whoever's page asks them to. So what changes something is taken from our own pages only (Fetch Metadata, and RFC 6454's
Origin where a browser has none), and where nobody is authenticated we answer to names of our own only: another's name may lead to us by DNS rebinding.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from console.replies import ApiError, Handler
from records.access import AccessRole, Denied, Identity
from records.ports import Audit, Authenticate

NOT_FRAMED: Final = "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
"""For every policy: no page of others shows ours, and none of ours sends a form elsewhere."""

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": f"default-src 'none'; {NOT_FRAMED}",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_CHALLENGES: Final = ('Basic realm="driftline", charset="UTF-8"', 'Bearer realm="driftline"')
"""RFC 9110 §11.6.1. By the first one a browser asks its user: the key is the password, whatever the name."""

_REFUSALS: Final = ("401", "403", "421", "503")

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})

_ROLES: Final = web.AppKey("roles", dict[tuple[str, str], AccessRole | None])
_WHO: Final = web.RequestKey("who", str)


class Guard(NamedTuple):
    """How the admin address is guarded."""

    authenticate: Authenticate
    anonymous: frozenset[AccessRole]
    """What those may do who show nothing."""
    own_names_only: bool
    """Whether those are answered only who ask for an address, or for localhost."""
    audit: Audit
    certified: Callable[[Mapping[str, Any]], str] = lambda _: ""
    """Whom a verified certificate names."""


def add_route(app: web.Application, method: str, path: str, role: AccessRole | None, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
    """Add a route for those who have a role; for everybody where it is None, as health checks are. A GET answers HEAD as well."""
    app.setdefault(_ROLES, {})[method, path] = role
    if method == "GET":
        app.router.add_get(path, handler)
    else:
        app.router.add_route(method, path, handler)


def role_of(app: web.Application, method: str, path: str) -> AccessRole | None:
    """Return who may ask for a route. Raises KeyError for one that is not in the table."""
    return app[_ROLES]["GET" if method == "HEAD" else method, path]


def who(request: web.Request) -> str:
    """Return who asks: by name, else from where."""
    name = request.get(_WHO, "")
    return name or f"anonymous at {request.remote}"


def guarded(guard: Guard, refused: dict[str, int]) -> Middleware:
    """Return the middleware, which counts in `refused`, by the reply's status. It goes before all that reads, writes or audits."""
    for code in _REFUSALS:
        refused[code] = 0

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            await _require_leave(request, guard)
        except ApiError as error:
            refused[str(error.status)] = refused.get(str(error.status), 0) + 1
            raise
        return await handler(request)

    return middleware


async def _require_leave(request: web.Request, guard: Guard) -> None:
    """Raise ApiError for what may not be asked for; keep who asks with the request."""
    _refuse_other_sites(request)
    resource = request.match_info.route.resource
    role = role_of(request.app, request.method, resource.canonical) if resource is not None else None  # where nothing is, there is nothing to guard
    if role is None:
        return
    identity = _identity(request, guard)
    request[_WHO] = identity.name
    if not identity.may(role):
        await _refuse(request, guard, identity, role)


async def hardened(_: web.Request, reply: web.StreamResponse) -> None:
    """Have browsers do nothing with a reply but show it; a page may say itself what it needs. A signal, so that it reaches streams as well."""
    for name, value in _HEADERS.items():
        reply.headers.setdefault(name, value)


async def _refuse(request: web.Request, guard: Guard, identity: Identity, role: AccessRole) -> NoReturn:
    """Raise ApiError. What somebody with a name tried is put on record; what nobody did is not, for anybody could fill the record."""
    if not identity.name:
        raise _unauthenticated(f"This needs the role {role}: send a key as Authorization: Bearer, or as the password of Basic authentication.")
    with suppress(OSError):  # it is refused in any case
        await asyncio.to_thread(guard.audit, identity.name, "refused", f"{request.method} {request.path}")
    raise ApiError(403, f"{request.method} {request.path} needs the role {role}; {identity.name} has {', '.join(sorted(identity.roles))}.")


def _identity(request: web.Request, guard: Guard) -> Identity:
    shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport else None
    found = guard.authenticate(shown, guard.certified(certificate) if certificate else "")
    if isinstance(found, Identity):
        return found._replace(roles=found.roles | guard.anonymous)
    if found is not None:
        raise _unauthenticated(f"{_sentence(found)}.") if found.status == 401 else ApiError(found.status, f"{_sentence(found)}.")
    if guard.anonymous and guard.own_names_only and not _is_own(request.host):
        raise ApiError(
            421,
            f"Without authentication this answers to addresses and localhost only, and it was asked for as {request.host!r}. "
            "Set access.keys, or access.anonymous where what stands in front of it authenticates.",
        )
    return Identity("", guard.anonymous)


def _refuse_other_sites(request: web.Request) -> None:
    """Raise ApiError where a page of another site has a browser change something."""
    if request.method in _SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    other = site not in _OWN_SITE if site is not None else origin is not None and origin.partition("://")[2] != request.host
    if other:
        raise ApiError(403, "A page of another site asked for this: it is not done.")


def _is_own(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _sentence(denied: Denied) -> str:
    return denied.reason[:1].upper() + denied.reason[1:]


def _unauthenticated(text: str) -> ApiError:
    return ApiError(401, text, headers={"WWW-Authenticate": ", ".join(_CHALLENGES)})
