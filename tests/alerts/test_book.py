"""The state machine of alerts."""

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.book import ACTIVE_AT_MOST, RECENT_AT_MOST, AlertBook, BookState, Links
from alerts.catalogue import AlertKind
from alerts.observation import Clear, Holds
from records.alert import AlertState

LINKS = Links(runbook="https://example.com/runbooks", console="http://127.0.0.1:8081")
SECOND_NS = 1_000_000_000
PENDING_SECONDS = int(AlertKind.STORE_UNREACHABLE.value.pending_seconds)


def holds(kind=AlertKind.MODEL_DATA_DRIFT, *, model="fraud", version="3", started_at_ns=0, summary="summary") -> Holds:
    labels = {"model": model, "version": version} if kind is AlertKind.MODEL_DATA_DRIFT else {}
    return Holds(
        kind=kind, labels=labels, started_at_ns=started_at_ns, summary=summary, description="description", features=("f",), path="/api/v1/models/fraud"
    )


def clear(kind=AlertKind.MODEL_DATA_DRIFT, *, model="fraud", version="3") -> Clear:
    return Clear(kind=kind, labels={"model": model, "version": version} if kind is AlertKind.MODEL_DATA_DRIFT else {})


@pytest.fixture
def book() -> AlertBook:
    return AlertBook(LINKS, BookState())


def test_an_alert_that_need_not_wait_fires_at_once_and_links_to_what_helps(book):
    change = book.observe(holds(started_at_ns=5), now_ns=7)
    assert (change.name, change.state, change.started_at_ns, change.fired_at_ns) == ("ModelDataDrift", AlertState.FIRING, 5, 7)
    assert change.runbook_url == "https://example.com/runbooks#modeldatadrift"
    assert change.console_url == "http://127.0.0.1:8081/api/v1/models/fraud"
    assert (change.report_url, change.picture_url) == ("", "")


def test_an_alert_links_to_what_explains_and_draws_it_where_that_is_known(book):
    change = book.observe(msgspec.structs.replace(holds(), report_path="/r?b=1", picture_path="/p?b=1"), now_ns=1)
    assert (change.report_url, change.picture_url) == ("http://127.0.0.1:8081/r?b=1", "http://127.0.0.1:8081/p?b=1")


def test_a_condition_that_goes_on_is_told_once(book):
    first = book.observe(holds(summary="as it began"), now_ns=1)
    assert [book.observe(holds(summary="later"), now_ns=now_ns) for now_ns in range(2, 9)] == [None] * 7
    assert book.state.active == (first,)


def test_a_condition_must_hold_for_its_waiting_time(book):
    kind = AlertKind.STORE_UNREACHABLE
    assert book.observe(holds(kind), now_ns=(PENDING_SECONDS - 1) * SECOND_NS) is None
    assert book.state.active[0].state is AlertState.PENDING
    assert book.observe(holds(kind), now_ns=PENDING_SECONDS * SECOND_NS).state is AlertState.FIRING


def test_a_condition_that_ends_while_it_waits_is_told_to_nobody(book):
    kind = AlertKind.STORE_UNREACHABLE
    book.observe(holds(kind), now_ns=SECOND_NS)
    assert book.observe(clear(kind), now_ns=2 * SECOND_NS) is None
    assert book.state == BookState()


def test_a_firing_alert_that_clears_is_resolved_once(book):
    fired = book.observe(holds(), now_ns=1)
    resolved = book.observe(clear(), now_ns=9)
    assert (resolved.state, resolved.resolved_at_ns, resolved.fired_at_ns, resolved.summary) == (AlertState.RESOLVED, 9, 1, fired.summary)
    assert book.observe(clear(), now_ns=10) is None
    assert book.state == BookState(active=(), recent=(resolved,))


def test_a_condition_that_comes_back_is_told_again(book):
    for now_ns in (1, 3):
        assert book.observe(holds(), now_ns).state is AlertState.FIRING
        assert book.observe(clear(), now_ns + 1).state is AlertState.RESOLVED


def test_models_are_told_apart(book):
    assert book.observe(holds(model="fraud"), now_ns=1)
    assert book.observe(holds(model="churn"), now_ns=1)
    assert book.observe(clear(model="fraud"), now_ns=2).labels["model"] == "fraud"


def test_a_new_version_of_a_model_neither_tells_again_nor_leaves_an_alert_that_never_ends(book):
    fired = book.observe(holds(version="3"), now_ns=1)
    assert book.observe(holds(version="4"), now_ns=2) is None
    assert book.observe(clear(version="4"), now_ns=3).labels == fired.labels


def test_a_restart_neither_tells_twice_nor_forgets_to_resolve(book):
    book.observe(holds(), now_ns=1)
    again = AlertBook(LINKS, book.state)
    assert again.observe(holds(), now_ns=2) is None
    assert again.observe(clear(), now_ns=3).state is AlertState.RESOLVED
    assert AlertBook(LINKS, again.state).state == again.state


def test_an_alert_that_this_version_does_not_know_is_not_restored(make_alert):
    state = BookState(active=(make_alert(name="ModelMoodSwing"), make_alert()))
    assert AlertBook(LINKS, state).state.active == (make_alert(),)


def test_the_book_is_bounded(book):
    for index in range(ACTIVE_AT_MOST + 5):
        book.observe(holds(model=f"m{index}"), now_ns=1)
    assert (len(book.state.active), book.refused) == (ACTIVE_AT_MOST, 5)
    for index in range(ACTIVE_AT_MOST):
        book.observe(clear(model=f"m{index}"), now_ns=2)
    assert (len(book.state.active), len(book.state.recent)) == (0, RECENT_AT_MOST)


class BookMachine(RuleBasedStateMachine):
    """Whatever happens, what people were told is what is firing: firing and resolved alternate for each alert."""

    def __init__(self) -> None:
        super().__init__()
        self.book = AlertBook(LINKS, BookState())
        self.now_ns = 0
        self.told: set[tuple[str, str]] = set()

    observations = st.tuples(st.sampled_from(AlertKind), st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), st.booleans())

    @rule(observation=observations, seconds=st.integers(0, 400))
    def observe(self, observation, seconds):
        kind, model, version, is_held = observation
        self.now_ns += seconds * SECOND_NS
        make = (lambda *args, **kwargs: holds(*args, started_at_ns=self.now_ns, **kwargs)) if is_held else clear
        change = self.book.observe(make(kind, model=model, version=version), self.now_ns)
        if change is None:
            return
        key = (change.name, change.labels.get("model", ""))
        if change.state is AlertState.FIRING:
            assert key not in self.told
            self.told.add(key)
        else:
            assert change.state is AlertState.RESOLVED
            self.told.remove(key)

    @rule()
    def restart(self):
        self.book = AlertBook(LINKS, self.book.state)

    @invariant()
    def what_was_told_is_what_fires(self):
        firing = [(alert.name, alert.labels.get("model", "")) for alert in self.book.state.active if alert.state is AlertState.FIRING]
        assert sorted(firing) == sorted(self.told)


BookMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBookMachine = BookMachine.TestCase
