"""Counts and the store's state to observations."""

from alerts.observation import Clear, Holds
from alerts.operation import QUIET_SECONDS, DropState, observe_drops, observe_store
from records.status import Counts, StoreStatus

SECOND_NS = 1_000_000_000


def counts(**dropped: int) -> Counts:
    return Counts(captured=0, stored=0, dropped=dropped, pending=0)


def test_nothing_lost_is_clear(noon_ns):
    state, observation = observe_drops(DropState(), counts(spool_full=0), noon_ns)
    assert isinstance(observation, Clear)
    assert state.lost == {}


def test_losses_are_told_with_their_number_and_reasons(noon_ns):
    _, observation = observe_drops(DropState(), counts(spool_full=1_200, poison=1), noon_ns)
    assert isinstance(observation, Holds)
    assert observation.summary == "1,201 exchange records lost: poison 1, spool_full 1,200"
    assert "since 2025-11-20T12:00:00.000Z" in observation.description


def test_losses_of_before_do_not_count_again_after_a_restart(noon_ns):
    state, _ = observe_drops(DropState(dropped={"spool_full": 60}), counts(spool_full=60), noon_ns)
    assert state == DropState(dropped={"spool_full": 60})


def test_losses_hold_until_it_was_quiet_for_long_enough_and_add_up(noon_ns):
    state, _ = observe_drops(DropState(), counts(spool_full=10), noon_ns)
    later_ns = noon_ns + (QUIET_SECONDS - 1) * SECOND_NS
    state, observation = observe_drops(state, counts(spool_full=15, poison=1), later_ns)
    assert isinstance(observation, Holds)
    assert observation.started_at_ns == noon_ns
    assert state.lost == {"spool_full": 15, "poison": 1}
    state, observation = observe_drops(state, counts(spool_full=15, poison=1), later_ns + (QUIET_SECONDS - 1) * SECOND_NS)
    assert isinstance(observation, Holds)
    state, observation = observe_drops(state, counts(spool_full=15, poison=1), later_ns + QUIET_SECONDS * SECOND_NS)
    assert isinstance(observation, Clear)
    assert state == DropState(dropped={"spool_full": 15, "poison": 1})


def test_losses_after_a_quiet_time_are_counted_afresh(noon_ns):
    state, _ = observe_drops(DropState(), counts(spool_full=10), noon_ns)
    state, _ = observe_drops(state, counts(spool_full=10), noon_ns + QUIET_SECONDS * SECOND_NS)
    state, _ = observe_drops(state, counts(spool_full=11), noon_ns + 2 * QUIET_SECONDS * SECOND_NS)
    assert state.lost == {"spool_full": 1}
    assert state.started_at_ns == noon_ns + 2 * QUIET_SECONDS * SECOND_NS


def test_a_store_that_is_down_is_told_with_since_when_and_why(noon_ns):
    observation = observe_store(StoreStatus(kind="server", up=False, changed_at_ns=noon_ns, error="connection refused"))
    assert isinstance(observation, Holds)
    assert observation.started_at_ns == noon_ns
    assert observation.summary == "ClickHouse (server) takes no records"
    assert observation.description.endswith("The last error: connection refused")


def test_a_store_that_is_up_is_clear(noon_ns):
    assert isinstance(observe_store(StoreStatus(kind="embedded", up=True, changed_at_ns=noon_ns)), Clear)
