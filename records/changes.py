"""A model's traffic of one period against that of the period before."""

from __future__ import annotations

import msgspec

from records.verdict import FeatureVerdict


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The windows of a period."""

    opened_at_ns: int
    closed_at_ns: int
    rows: int
    windows: int


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is another one now. A report: it is outside the budget, and alerts nobody."""

    model: str
    baseline_id: str
    """In whose bins and levels both periods are counted."""
    before: Span
    now: Span
    features: tuple[FeatureVerdict, ...]
    """Those with an effect at its floor or above that chance does not explain, the smallest p-value first; their tests and words are against the period before."""
    unchanged: int
    """How many features are not among them."""
