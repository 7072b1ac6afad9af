"""Which label holds."""

import pytest

from labels.settling import Held, Settlement, held_by, settle
from records.label import NO_EXCHANGE, Label, Subject


def label(text, labelled_at_ns, received_at_ns):
    return Label(Subject(NO_EXCHANGE, "r", "", 0), text, labelled_at_ns, received_at_ns, "api")


HELD = Held("cat", 100, 200)


@pytest.mark.parametrize(
    ("further", "held", "settlement", "contradicts"),
    [
        (label("cat", 1, 2), None, Settlement.KEEP, False),
        (label("cat", 150, 300), HELD, Settlement.DUPLICATE, False),
        (label("cat", 50, 300), HELD, Settlement.DUPLICATE, False),
        (label("dog", 150, 300), HELD, Settlement.KEEP, True),
        (label("dog", 50, 300), HELD, Settlement.OUTDATED, True),
        (label("dog", 100, 300), HELD, Settlement.KEEP, True),  # equally old: the one received last
        (label("cat", 100, 200), HELD, Settlement.KEEP, False),  # itself, stored before a kill
        (label("1.0", 150, 300), Held("1", 100, 200), Settlement.DUPLICATE, False),
    ],
)
def test_the_latest_label_holds(further, held, settlement, contradicts):
    assert settle(further, held) == (settlement, contradicts)


def test_the_order_of_arrival_does_not_matter_where_times_are_given():
    labels = [label("a", 1, 10), label("b", 3, 11), label("c", 2, 12)]
    for order in (labels, labels[::-1], [labels[1], labels[0], labels[2]]):
        held = None
        for each in order:
            if settle(each, held)[0] is Settlement.KEEP:
                held = held_by(each)
        assert held.label == "b"
