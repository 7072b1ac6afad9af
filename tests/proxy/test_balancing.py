"""Which endpoint gets a request, and which gets none: the policy alone, with times that the tests give."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.balancing import Candidate, EjectionRules, choose, eject, failed, forgive, slow
from records.metrics import EjectionReason

RULES = EjectionRules(failures=3, seconds=30.0, max_share=0.5, latency_factor=5)


def candidates(count: int) -> list[Candidate]:
    return [Candidate() for _ in range(count)]


def shares(of: list[Candidate], now: float, *, slow_start: float = 10.0, choices: int = 4000) -> list[float]:
    """Return the part of many requests that each would get if each were ended before the next."""
    chosen = Counter(choose(of, 100, now, slow_start) for _ in range(choices))
    return [chosen[candidate] / choices for candidate in of]


def loads_of(of: list[Candidate], requests: int, now: float, *, slow_start: float = 10.0) -> list[int]:
    """Return how many of so many requests each has when none of them ends."""
    for _ in range(requests):
        chosen = choose(of, requests, now, slow_start)
        assert chosen is not None
        chosen.load += 1
    return [candidate.load for candidate in of]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_the_least_loaded_is_chosen(loads: list[int]) -> None:
    of = candidates(len(loads))
    for candidate, load in zip(of, loads, strict=True):
        candidate.load = load
    chosen = choose(of, 10, 0.0, 10.0)
    assert chosen is not None
    assert chosen.load == min(loads)


def test_ties_are_shared_fairly() -> None:
    assert shares(candidates(4), 0.0) == pytest.approx([0.25] * 4, abs=0.05)


def test_nobody_is_chosen_where_all_have_as_many_as_they_may() -> None:
    of = candidates(2)
    for candidate in of:
        candidate.load = 7
    assert choose(of, 7, 0.0, 10.0) is None
    of[1].load = 6
    assert choose(of, 7, 0.0, 10.0) is of[1]


def test_one_out_of_service_gets_nothing_unless_all_are() -> None:
    of = candidates(3)
    of[0].in_service = False
    assert shares(of, 0.0)[0] == 0
    for candidate in of:
        candidate.in_service = False
    assert shares(of, 0.0) == pytest.approx([1 / 3] * 3, abs=0.05)


def test_full_endpoints_in_service_do_not_send_requests_to_those_out_of_it() -> None:
    of = candidates(2)
    of[0].in_service = False
    of[1].load = 5
    assert choose(of, 5, 0.0, 10.0) is None


@pytest.mark.parametrize(("elapsed", "share"), [(0.0, 0.1), (2.5, 0.25), (5.0, 0.5), (10.0, 1.0), (1e9, 1.0)])
def test_the_share_of_a_warming_endpoint_grows_with_time(elapsed: float, share: float) -> None:
    of = candidates(2)
    of[0].warm_since = 100.0
    idle = shares(of, 100.0 + elapsed)[0]
    loaded = loads_of(of, 220, 100.0 + elapsed)[0] / 220
    assert idle == pytest.approx(share / 2, abs=0.04)  # of two equals, one would get half
    assert loaded == pytest.approx(share / (1 + share), abs=0.02)


def test_without_slow_start_an_endpoint_is_whole_at_once() -> None:
    of = candidates(2)
    of[0].warm_since = 100.0
    assert shares(of, 100.0, slow_start=0.0)[0] == pytest.approx(0.5, abs=0.05)


def test_so_many_failures_in_a_row_eject_and_one_success_begins_the_row_again() -> None:
    of = candidates(2)
    assert [failed(of[0], of, RULES, 0.0) for _ in range(2)] == [None, None]
    of[0].failures = 0
    assert [failed(of[0], of, RULES, 0.0) for _ in range(3)] == [None, None, EjectionReason.FAILURES]
    assert of[0].take_service(0.0)
    assert not of[0].in_service


@given(st.integers(1, 12), st.floats(0, 1))
def test_no_more_than_a_share_is_ejected(count: int, max_share: float) -> None:
    of, rules = candidates(count), RULES._replace(max_share=max_share)
    out = sum(eject(candidate, of, rules, 0.0) for candidate in of)
    assert out == int(max_share * count)
    assert out == sum(candidate.ejected(0.0) for candidate in of)


def test_an_ejection_ends_and_the_endpoint_begins_slowly() -> None:
    of = candidates(2)
    eject(of[0], of, RULES, 100.0)
    of[0].take_service(100.0)
    assert not of[0].take_service(129.9)
    assert of[0].take_service(130.0)
    assert (of[0].in_service, of[0].warm_since) == (True, 130.0)


def test_an_endpoint_that_comes_back_and_fails_again_is_ejected_at_once() -> None:
    of = candidates(2)
    for _ in range(3):
        failed(of[0], of, RULES, 0.0)
    of[0].take_service(30.0)
    assert failed(of[0], of, RULES, 31.0) is EjectionReason.FAILURES


def test_ejections_in_succession_last_longer_up_to_a_bound_and_are_forgotten_with_time() -> None:
    of, now = candidates(2), 0.0
    lasted = []
    for _ in range(12):
        assert eject(of[0], of, RULES, now)
        lasted.append(of[0].ejected_until - now)
        now = of[0].ejected_until
        forgive(of[0], RULES, now)
    assert lasted == [30.0 * min(times, 10) for times in range(1, 13)]
    forgive(of[0], RULES, now + 30.0 * 8)
    assert of[0].ejections == 2
    forgive(of[0], RULES, now + 30.0 * 100)
    assert of[0].ejections == 0


def reply_times(milliseconds: list[float], *, replies: int = 100) -> list[Candidate]:
    of = candidates(len(milliseconds))
    for candidate, each in zip(of, milliseconds, strict=True):
        candidate.replies, candidate.replies_ns = replies, int(each * 1e6 * replies)
    return of


@pytest.mark.parametrize(
    ("milliseconds", "outliers"),
    [
        ([20, 20, 20, 120], [3]),
        ([20, 20, 20, 20, 120, 300], [5, 4]),
        ([20, 20, 20, 90], []),  # not five times as long
        ([0.2, 0.2, 0.2, 5], []),  # not so much longer that it matters
        ([20, 120], []),  # of two, who is the odd one?
        ([20, 120, 120], []),
    ],
)
def test_an_endpoint_much_slower_than_the_median_is_an_outlier(milliseconds: list[float], outliers: list[int]) -> None:
    of = reply_times(milliseconds)
    assert [of.index(candidate) for candidate in slow(of, RULES)] == outliers


def test_few_replies_make_no_outlier_and_each_window_stands_alone() -> None:
    of = reply_times([20, 20, 20, 500], replies=20)
    for _ in range(4):
        assert slow(of, RULES) == []
        for candidate in of:
            candidate.replies += 20
            candidate.replies_ns += 10**10 if candidate is of[3] else 10**8


def checked(candidate: Candidate, results: str) -> str:
    """Apply results, `+` or `-`; return whether it passed after each."""
    after = ""
    for result in results:
        candidate.checked(result == "+", healthy_after=2, unhealthy_after=3)
        after += "+" if candidate.passes_checks else "-"
    return after


@pytest.mark.parametrize(
    ("results", "after"),
    [
        ("+--+--+---", "+++++++++-"),
        ("-+-++", "----+"),  # the first result holds at once
        ("---", "---"),
        ("+---+-++", "+++----+"),
    ],
)
def test_checks_decide_when_enough_in_a_row_agree(results: str, after: str) -> None:
    assert checked(Candidate(), results) == after
