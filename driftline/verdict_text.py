"""Verdicts as a command prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from config.units import Budget
from records.verdict import Verdict

_NAMES_AT_MOST: Final = 5


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as JSON."""
    windows = [
        {
            "index": verdict.index,
            "rows": verdict.rows,
            "state": verdict.state.value,
            "alert": verdict.alert,
            "evidence": verdict.evidence,
            "threshold": verdict.threshold,
            "features": verdict.carriers,
        }
        for verdict in verdicts
    ]
    content: dict[str, Any] = {"alerts": _alerts(verdicts), "windows": windows}
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


def as_text(verdicts: Sequence[Verdict], budget: Budget) -> Iterator[str]:
    """Yield a line for each window, and what carried the alerts."""
    yield f"{'window':>6}  {'rows':>7}  {'evidence':>13}  {'state':<8}  features"
    for verdict in verdicts:
        state = "ALERT" if verdict.alert else "resolved" if verdict.resolved else verdict.state.value
        yield f"{verdict.index:>6}  {verdict.rows:>7,}  {verdict.evidence:>13,.4g}  {state:<8}  {names_of(verdict.carriers)}".rstrip()
    threshold = verdicts[-1].threshold if verdicts else 0.0
    yield f"{_counted(_alerts(verdicts), 'alert')} in {_counted(len(verdicts), 'window')}; a budget of {budget} asks for evidence of {threshold:,.4g}"
    for verdict in verdicts:
        if verdict.alert:
            yield f"window {verdict.index}:"
            yield from (f"  {feature.feature}: {feature.summary}" for feature in verdict.features if feature.feature in verdict.carriers)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _alerts(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.alert for verdict in verdicts)


def names_of(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:_NAMES_AT_MOST]) + (f" and {len(names) - _NAMES_AT_MOST} more" if len(names) > _NAMES_AT_MOST else "")
