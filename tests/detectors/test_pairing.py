import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detectors.pairing import Pairing
from records.exchange import Body, ErrorKind, Exchange, Role
from records.payload import Decoded, Tensor


def said(*values):
    return Decoded("v2", [Tensor("label", "INT64", (len(values),), list(values))])


def exchange(number, role=Role.SERVED, arm="upstream", status=200, error=ErrorKind.NONE):
    return Exchange(
        exchange_id=number.to_bytes(16, "big"),
        request_id="",
        role=role,
        route="default",
        arm=arm,
        started_at_ns=0,
        total_ns=5_000_000,
        status=status,
        error=error,
        method="POST",
        path="/v2/models/m/infer",
    )


def shadow(number, arm="candidate", **settings):
    return exchange(number, Role.SHADOW, arm, **settings)


def test_replies_pair_in_whichever_order_they_come():
    pairing = Pairing()
    assert pairing.add(exchange(1), said(1), "m", "3") == []
    (pair,) = pairing.add(shadow(1), said(2))
    assert (pair.served.model, pair.served.version, pair.served.response, pair.shadow.arm, pair.shadow.response) == ("m", "3", said(1), "candidate", said(2))
    assert pairing.add(shadow(2), said(0)) == []
    (other_way_round,) = pairing.add(exchange(2), said(1), "m", "4")
    assert (other_way_round.served.version, other_way_round.shadow.response) == ("4", said(0))


def test_every_shadow_is_paired_with_what_was_served():
    pairing = Pairing()
    pairing.add(shadow(1, "early"), said(1))
    pairs = [*pairing.add(exchange(1), said(1)), *pairing.add(shadow(1, "late"), said(3)), *pairing.add(shadow(1, "broken", status=500), said(4))]
    assert [(pair.shadow.arm, pair.shadow.failed) for pair in pairs] == [("early", False), ("late", False), ("broken", True)]


def test_a_reply_says_how_long_it_took_and_whether_it_came_whole():
    pairing = Pairing()
    pairing.add(exchange(1), said(1))
    (pair,) = pairing.add(shadow(1, error=ErrorKind.TOTAL_TIMEOUT), said(1))
    assert (pair.served.seconds, pair.served.is_answer, pair.shadow.is_answer) == (0.005, True, False)


def test_the_oldest_exchange_is_pushed_out_and_a_shadow_that_was_alone_is_counted():
    pairing = Pairing(max_exchanges=2)
    pairing.add(shadow(1), said(1))
    pairing.add(exchange(2), said(1))
    pairing.add(exchange(3), said(1))
    assert pairing.unpaired == 1
    assert pairing.add(exchange(1), said(1)) == []  # pushes 2 out, which nobody waited for
    assert pairing.unpaired == 1
    assert len(pairing.add(shadow(3), said(1))) == 1


def test_a_pair_that_is_pushed_out_was_not_alone():
    pairing = Pairing(max_exchanges=1)
    pairing.add(shadow(1), said(1))
    pairing.add(exchange(1), said(1))
    pairing.add(exchange(2), said(1))
    assert pairing.unpaired == 0


def test_large_replies_push_older_ones_out_sooner():
    pairing = Pairing(max_bytes=100)
    for number in range(3):
        pairing.add(msgspec.structs.replace(exchange(number), response=Body(bytes(40), 40)), said(1))
    assert [len(pairing.add(shadow(number), said(1))) for number in (2, 1, 0)] == [1, 1, 0]


@given(replies=st.permutations([(number, role) for number in range(6) for role in Role]))
def test_every_pair_comes_once_whatever_the_order(replies):
    pairing = Pairing()
    pairs = [pair for number, role in replies for pair in pairing.add(exchange(number, role, role.value), said(number))]
    assert sorted((pair.exchange_id, pair.served.response) for pair in pairs) == [(number.to_bytes(16, "big"), said(number)) for number in range(6)]
    assert all(pair.shadow.response == pair.served.response for pair in pairs)
    assert pairing.unpaired == 0
