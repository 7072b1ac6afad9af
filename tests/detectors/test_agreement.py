import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.agreement import Agreement, Comparison, Rule, Totals, compare
from records.exchange import Exchange, Role
from records.payload import TEXT, Decoded, Failed, Tensor, Undecodable

FAILED = Failed("v2", Undecodable.ERROR_REPLY)


def said(*tensors):
    return Decoded("v2", list(tensors))


def label(*values, datatype="INT64"):
    return Tensor("label", datatype, (len(values),), list(values))


def scores(*values, shape=None, datatype="FP32", name="scores"):
    return Tensor(name, datatype, shape or (len(values),), list(values))


def exchange(number, role=Role.SERVED, arm="upstream", route="default"):
    return Exchange(
        exchange_id=number.to_bytes(16, "big"), request_id="", role=role, route=route, arm=arm, started_at_ns=0, method="POST", path="/v2/models/m/infer"
    )


def shadow(number, arm="candidate"):
    return exchange(number, Role.SHADOW, arm)


@pytest.mark.parametrize(("served", "other", "agreed"), [(label(1, 0), label(1, 0), True), (label(1, 0), label(1, 1), False)])
def test_labels_agree_where_all_are_equal(served, other, agreed):
    assert compare(said(served), said(other)) == Comparison(Rule.LABELS, agreed, 0.0)


def test_a_label_decides_and_scores_beside_it_show_as_a_difference():
    served, other = scores(0.9, 0.1, shape=(1, 2)), scores(0.25, 0.75, shape=(1, 2))
    assert compare(said(label(1), served), said(other, label(1))) == Comparison(Rule.LABELS, True, pytest.approx(0.65))


@pytest.mark.parametrize("datatype", ["BYTES", "BOOL", "INT8", "UINT64", "JSON"])
def test_text_booleans_and_integers_are_labels(datatype):
    assert compare(said(label(1, datatype=datatype)), said(label(2, datatype=datatype))) == Comparison(Rule.LABELS, False, 0.0)


@pytest.mark.parametrize(
    ("served", "other", "agreed"),
    [([0.6, 0.4, 0.2, 0.8], [0.9, 0.1, 0.4, 0.6], True), ([0.6, 0.4, 0.2, 0.8], [0.9, 0.1, 0.6, 0.4], False), ([0.6, 0.3995, 0, 1], [0.5004, 0.5, 0, 1], True)],
)
def test_probabilities_agree_where_every_row_peaks_at_the_same_place(served, other, agreed):
    comparison = compare(said(scores(*served, shape=(2, 2))), said(scores(*other, shape=(2, 2))))
    assert comparison is not None
    assert (comparison.rule, comparison.agreed) == (Rule.ARGMAX, agreed)


@pytest.mark.parametrize(
    ("served", "other", "agreed", "difference"),
    [
        ([1000.0], [1000.0005], True, 0.0005),
        ([1000.0], [1000.005], False, 0.005),
        ([0.0], [1e-13], True, 1e-13),
        ([-2.0, 3.0], [-2.0, -3.0], False, 6.0),
        ([math.nan, None], [None, math.nan], True, 0.0),
        ([math.nan, 1.0], [1.0, 1.5], False, 0.5),
        ([math.inf], [math.inf], True, 0.0),
        ([math.inf, 1.0], [-math.inf, 1.0], False, 0.0),
    ],
)
def test_numbers_agree_within_a_millionth(served, other, agreed, difference):
    assert compare(said(scores(*served)), said(scores(*other))) == Comparison(Rule.NUMBERS, agreed, pytest.approx(difference))


@pytest.mark.parametrize("values", [[0.5, 0.2], [1.5, -0.5], [2.0, 3.0]], ids=["another sum", "negative", "large"])
def test_vectors_that_are_no_probabilities_are_numbers(values):
    comparison = compare(said(scores(*values, shape=(1, 2))), said(scores(0.5, 0.5, shape=(1, 2))))
    assert comparison is not None
    assert comparison.rule is Rule.NUMBERS


def test_whole_numbers_in_json_beside_floats_are_scores():
    assert compare(said(scores(2, datatype="INT64")), said(scores(2.0, datatype="FP64"))) == Comparison(Rule.NUMBERS, True, 0.0)


def test_text_and_a_number_are_labels_that_differ():
    text, number = said(label("spam", datatype="BYTES")), said(label(0.5, datatype="FP32"))
    assert compare(text, number) == compare(number, text) == Comparison(Rule.LABELS, False, 0.0)


@pytest.mark.parametrize("other", [said(), said(scores(1, name="other")), said(scores(1, 2))], ids=["no output", "another name", "another shape"])
def test_replies_without_a_common_output_are_incomparable(other):
    assert compare(said(scores(1)), other) is None


def test_replies_pair_in_whichever_order_they_come():
    agreement = Agreement()
    agreement.add(exchange(1), said(label(1)))
    agreement.add(shadow(1), said(label(1)))
    agreement.add(shadow(2), said(label(0)))
    assert agreement.totals()["default", "candidate"].compared == 1
    agreement.add(exchange(2), said(label(1)))
    assert agreement.totals() == {("default", "candidate"): Totals(compared=2, agreed=1, rule=Rule.LABELS)}


def test_every_shadow_is_compared_with_what_was_served_and_counted_apart():
    agreement = Agreement()
    agreement.add(shadow(1, "early"), said(scores(1.0)))
    agreement.add(exchange(1), said(scores(1.0)))
    agreement.add(shadow(1, "late"), said(scores(3.0)))
    agreement.add(shadow(1, "broken"), FAILED)
    assert agreement.totals() == {
        ("default", "early"): Totals(compared=1, agreed=1, rule=Rule.NUMBERS),
        ("default", "late"): Totals(compared=1, largest_difference=2.0, rule=Rule.NUMBERS),
        ("default", "broken"): Totals(incomparable=1),
    }


def test_a_failed_served_reply_makes_its_pairs_incomparable():
    agreement = Agreement()
    agreement.add(shadow(1), said(label(1)))
    agreement.add(exchange(1), FAILED)
    agreement.add(shadow(1, "second"), FAILED)
    assert {arm: totals.incomparable for (_, arm), totals in agreement.totals().items()} == {"candidate": 1, "second": 1}


def test_totals_are_a_copy():
    agreement = Agreement()
    agreement.add(exchange(1), said(label(1)))
    agreement.add(shadow(1), said(label(1)))
    before = agreement.totals()
    agreement.add(shadow(1), said(label(1)))
    assert (before["default", "candidate"].compared, agreement.totals()["default", "candidate"].compared) == (1, 2)


def test_the_oldest_exchange_is_pushed_out_and_a_shadow_that_was_alone_is_counted():
    agreement = Agreement(max_exchanges=2)
    agreement.add(shadow(1), said(label(1)))
    agreement.add(exchange(2), said(label(1)))
    agreement.add(exchange(3), said(label(1)))
    assert agreement.unpaired == 1
    agreement.add(exchange(1), said(label(1)))  # pushes 2 out, which nobody waited for
    assert (agreement.totals(), agreement.unpaired) == ({}, 1)
    agreement.add(shadow(3), said(label(1)))
    assert agreement.totals()["default", "candidate"].compared == 1


def test_a_pair_that_is_pushed_out_was_not_alone():
    agreement = Agreement(max_exchanges=1)
    agreement.add(shadow(1), said(label(1)))
    agreement.add(exchange(1), said(label(1)))
    agreement.add(exchange(2), said(label(1)))
    assert agreement.unpaired == 0


@pytest.mark.parametrize("reply", [said(scores(*[0.5] * 40)), said(label("a" * 40, datatype="BYTES"))], ids=["numbers", "text"])
def test_large_replies_push_older_ones_out_sooner(reply):
    agreement = Agreement(max_values=100)
    for number in range(3):
        agreement.add(exchange(number), reply)
    for number in (2, 1, 0):
        agreement.add(shadow(number), reply)
    assert agreement.totals()["default", "candidate"].compared == 2


@given(
    replies=st.permutations([(number, role) for number in range(6) for role in Role]),
    differing=st.sets(st.integers(0, 5)),
)
def test_every_pair_is_compared_once_whatever_the_order(replies, differing):
    agreement = Agreement()
    for number, role in replies:
        differs = role is Role.SHADOW and number in differing
        agreement.add(exchange(number, role, role.value), said(label(-1 if differs else number)))
    assert agreement.totals() == {("default", "shadow"): Totals(compared=6, agreed=6 - len(differing), rule=Rule.LABELS)}
    assert agreement.unpaired == 0


def test_free_text_agrees_where_it_is_equal():
    hello = Tensor("text", TEXT, (1, 1), ["Hello!"])
    assert compare(said(hello), said(hello)) == Comparison(Rule.LABELS, True, 0.0)
    assert compare(said(hello), said(Tensor("text", TEXT, (1, 1), ["Hi!"]))) == Comparison(Rule.LABELS, False, 0.0)
