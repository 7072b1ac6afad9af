"""What must hold between settings, beyond what each must be by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from config.settings import RouteSettings, Settings
from config.units import Bytes

RECORD_OVERHEAD: Final = Bytes(128 * 1024)
"""What a record may take beside its two bodies: the path, header fields, and the frame."""

NO_ROUTE: Final = (
    "expected at least one route, found none; for example: --upstream http://127.0.0.1:9000, or routes: [{upstream: http://127.0.0.1:9000}] in a file"
)


def problems(settings: Settings, *, routes_needed: bool) -> Iterator[tuple[str, str]]:
    """Yield the key path and the text of every broken rule."""
    if routes_needed and not settings.routes:
        yield "routes", "expected at least one route, found none; for example: routes: [{upstream: http://127.0.0.1:9000}]"
    yield from _duplicates([(f"routes[{i}].path", route.path) for i, route in enumerate(settings.routes)], "path: /v2/models/fraud")
    yield from _duplicates([(f"routes[{i}].name", route.name) for i, route in enumerate(settings.routes)], "name: fraud")
    for index, route in enumerate(settings.routes):
        yield from _route_problems(route, f"routes[{index}]")
    yield from _spool_problems(settings)
    if settings.drift.window_min_rows > settings.drift.window_rows:
        yield "drift.window_min_rows", f"expected at most drift.window_rows ({settings.drift.window_rows}), found {settings.drift.window_min_rows}"


def _route_problems(route: RouteSettings, key: str) -> Iterator[tuple[str, str]]:
    if not route.path.startswith("/"):
        yield f"{key}.path", f"expected a path that starts with /, found {route.path!r}; for example: path: /v2/models/fraud"
    if not route.name:
        yield f"{key}.name", "expected a name, found ''; for example: name: fraud"
    yield from _duplicates([(f"{key}.shadows[{i}].name", shadow.name) for i, shadow in enumerate(route.shadows)], "name: candidate")


def _spool_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    segment, capture = settings.spool.segment_size, settings.proxy.capture
    if 2 * capture + RECORD_OVERHEAD > segment:
        example = Bytes(max(0, segment - RECORD_OVERHEAD) // 2)
        yield (
            "proxy.capture",
            f"expected two bodies and {RECORD_OVERHEAD} to fit into spool.segment_size ({segment}), found {capture}; for example: capture: {example}",
        )
    if settings.spool.max_size < 2 * segment:
        yield "spool.max_size", f"expected at least two segments ({Bytes(2 * segment)}), found {settings.spool.max_size}; for example: max_size: 2 GiB"


def _duplicates(values: Sequence[tuple[str, str]], example: str) -> Iterator[tuple[str, str]]:
    """Yield a problem for every value that an earlier key has as well."""
    first: dict[str, str] = {}
    for key, value in values:
        if value in first:
            yield key, f"expected values that differ, found {value!r} as in {first[value]}; for example: {example}"
        first.setdefault(value, key)
