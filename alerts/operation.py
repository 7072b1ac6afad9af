"""Counts and the store's state to observations of `ExchangesDropped` and `StoreUnreachable`."""

from __future__ import annotations

from typing import Final

import msgspec

from alerts.catalogue import AlertKind
from alerts.observation import Clear, Holds, Observation
from records.status import Counts, StoreStatus
from records.times import format_time

QUIET_SECONDS: Final = 600
"""Records count as being lost until none was for this long."""


class DropState(msgspec.Struct, frozen=True, kw_only=True):
    """What must survive a restart: drops while the monitor is down are seen by the next one."""

    dropped: dict[str, int] = {}
    """Lost ever, by reason, as last seen."""
    started_at_ns: int = 0
    """When the present losses began."""
    latest_at_ns: int = 0
    """When records were last seen to be lost; 0 when none are being lost."""
    lost: dict[str, int] = {}
    """Lost since then, by reason."""


def observe_drops(state: DropState, counts: Counts, now_ns: int) -> tuple[DropState, Observation]:
    """Return the next state, and whether records are being lost."""
    new = {reason: count - state.dropped.get(reason, 0) for reason, count in counts.dropped.items() if count > state.dropped.get(reason, 0)}
    if new:
        lost = {reason: state.lost.get(reason, 0) + new.get(reason, 0) for reason in state.lost | new}
        state = DropState(dropped=counts.dropped, started_at_ns=state.started_at_ns or now_ns, latest_at_ns=now_ns, lost=lost)
    elif now_ns - state.latest_at_ns >= QUIET_SECONDS * 1_000_000_000:
        state = DropState(dropped=counts.dropped)
    return state, _drops_holding(state) if state.lost else Clear(kind=AlertKind.EXCHANGES_DROPPED)


def _drops_holding(state: DropState) -> Holds:
    lost = f"{sum(state.lost.values()):,}"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(state.lost.items()))
    return Holds(
        kind=AlertKind.EXCHANGES_DROPPED,
        started_at_ns=state.started_at_ns,
        summary=AlertKind.EXCHANGES_DROPPED.value.summary.format(lost=lost, reasons=reasons),
        description=f"{lost} exchange records were lost since {format_time(state.started_at_ns)} ({reasons}). Serving went on; what is lost is missing from the store and the windows.",
    )


def observe_store(store: StoreStatus) -> Observation:
    """Return whether ClickHouse is down."""
    kind = AlertKind.STORE_UNREACHABLE
    if store.up:
        return Clear(kind=kind)
    return Holds(
        kind=kind,
        started_at_ns=store.changed_at_ns,
        summary=kind.value.summary.format(kind=store.kind),
        description=f"No record was stored since {format_time(store.changed_at_ns)}; they wait in the spool, and nothing is lost until it is full. The last error: {store.error}",
    )
