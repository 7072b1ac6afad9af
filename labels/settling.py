"""Which of several labels for one row holds: the one with the latest `labelled_at`, and of equal ones the one received last."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from labels.comparing import same
from records.label import Label


class Held(NamedTuple):
    """The label that holds for a row so far."""

    label: str
    labelled_at_ns: int
    received_at_ns: int


class Settlement(Enum):
    """What is done with a further label."""

    KEEP = auto()  # it holds from now on
    DUPLICATE = auto()  # the one that holds says the same
    OUTDATED = auto()  # the one that holds is newer, and says something else


def settle(label: Label, held: Held | None) -> tuple[Settlement, bool]:
    """Return what to do with `label`, and whether it contradicts the one that holds.

    A label that is in the store already, because a process died before it had noted so, is kept again: that changes nothing.
    """
    if held is None or held == held_by(label):
        return Settlement.KEEP, False
    if same(held.label, label.label):
        return Settlement.DUPLICATE, False
    newer = (label.labelled_at_ns, label.received_at_ns) > (held.labelled_at_ns, held.received_at_ns)
    return Settlement.KEEP if newer else Settlement.OUTDATED, True


def held_by(label: Label) -> Held:
    """Return `label` as the one that holds."""
    return Held(label.label, label.labelled_at_ns, label.received_at_ns)
