"""What turned out to be true of a prediction, said later and by somebody else."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from records.exchange import Exchange

NO_EXCHANGE: Final = bytes(16)
"""The exchange id of a label that names its exchange otherwise."""


MAX_TEXT_CHARACTERS: Final = 200
"""Of a label, and of a name by which it finds its exchange. A proxied request id is no longer either."""


class LabelSource(StrEnum):
    """How a label came: the values of the label `source` of `driftline_labels_received_total`."""

    API = "api"  # POST /api/v1/labels
    IMPORT = "import"  # driftline labels import
    FEEDBACK = "feedback"  # sent to the serving system through the proxy: Seldon's feedback, Clipper's updates


class LabelTiming(StrEnum):
    """When a label came, as seen from its exchange: the values of the label `timing` of `driftline_labels_joined_total`."""

    EARLY = "early"  # before its exchange was in the store
    PROMPT = "prompt"  # within one `drift.window_time` of its exchange's start
    LATE = "late"  # after that


class Subject(NamedTuple):
    """What a label is about: one row of an exchange that is named by one of three ids; the others are empty."""

    exchange_id: bytes
    """16 bytes; all zeros where the exchange is named otherwise."""
    request_id: str
    key: str
    """The caller's own, found where the setting `routes.label_key` says."""
    row: int
    """Counted from 0, for requests that ask for several predictions."""


class Label(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One label."""

    subject: Subject
    label: str
    """A class, or a number as text."""
    labelled_at_ns: int
    """When it became known, as the caller says it, else when it was received. The latest one holds."""
    received_at_ns: int
    source: str
    """A `LabelSource`."""


class Compared(NamedTuple):
    """What was served as a prediction for one row of an exchange, and its label, until the detector of risk has taken them."""

    model: str
    version: str
    exchange_id: bytes
    row: int
    prediction: str
    label: str
    labelled_at_ns: int
    received_at_ns: int
    started_at_ns: int
    """When the exchange was asked for."""
    met_at_ns: int
    """When the label met the prediction."""


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """A label and one arm's prediction that it is about."""

    label: Label
    exchange: Exchange
    model: str
    version: str
    prediction: str | None
    """None where the reply has none that can be read for this row."""
    correct: bool
    """Whether both say the same."""
    absolute_error: float | None
    """Their distance, where both are numbers."""
