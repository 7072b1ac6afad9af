"""Predictions and their labels, as pairs of text, to losses and to a baseline of risk: from traffic, from a table, or from the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np

from config.settings import Settings
from detectors.arrays import Column
from detectors.baseline import BaselineError
from detectors.risk import FEWEST_ROWS, Outcomes, build_risk
from driftline.store_access import questions
from driftline.stored_exchanges import Period, conditions_of
from labels.comparing import absolute_error, loss_of, same, text
from records.baseline import RiskBaseline
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError

ROWS_AT_MOST: Final = 100_000
"""The latest ones of a period: more would see no smaller rise that matters."""

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""Prediction and label."""


def outcomes_of(pairs: Pairs) -> Outcomes:
    """Return what became of these predictions."""
    errors = [absolute_error(prediction, label) for prediction, label in pairs]
    wrong = np.array([not same(prediction, label) for prediction, label in pairs], dtype=np.float64)
    return Outcomes(wrong, np.array([np.nan if error is None else error for error in errors], dtype=np.float64))


def risk_of(pairs: Pairs, *, source: str, created_at_ns: int) -> RiskBaseline | None:
    """Return the baseline of these rows, in the order of the traffic; None where there are too few."""
    return build_risk(outcomes_of(pairs), loss_of(pairs), source=source, created_at_ns=created_at_ns)


def pairs_of_columns(predictions: Column, labels: Column) -> Pairs:
    """Return the rows of two columns of a table that have both."""
    found = ((text(prediction), text(label)) for prediction, label in zip(predictions.tolist(), labels.tolist(), strict=True))
    return [(prediction, label) for prediction, label in found if prediction and label]


def pairs_from_store(settings: Settings, period: Period) -> Pairs:
    """Return the latest labelled rows of what was served in the period, in the order in which their labels came. Raises `BaselineError`."""
    where = " AND ".join(("role = 'served' AND prediction IS NOT NULL", *conditions_of(period)))
    query = (
        f"SELECT prediction, label FROM (SELECT prediction, label, received_at, started_at, row FROM labelled FINAL WHERE {where} "  # noqa: S608 - values are quoted
        f"ORDER BY received_at DESC, started_at DESC, row DESC LIMIT {ROWS_AT_MOST}) ORDER BY received_at, started_at, row"
    )
    try:
        with questions(settings) as ask:
            lines = ask(query, "JSONCompactEachRow")
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        raise BaselineError(str(error)) from error
    return msgspec.json.Decoder(tuple[str, str]).decode_lines(lines)


def required(risk: RiskBaseline | None, rows: int) -> RiskBaseline:
    """Return the baseline. Raises `BaselineError` where there is none, of so many labelled rows."""
    if risk is None:
        raise BaselineError(
            f"a baseline of the risk needs at least {FEWEST_ROWS} rows with a prediction and a label that can be compared, and {rows} were given"
        )
    return risk
