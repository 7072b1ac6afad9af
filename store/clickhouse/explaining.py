"""What an explanation of a verdict asks: the window with its verdict and baseline, the windows before, exchanges from a place, and what labels say."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from records.baseline import Baseline, FeatureBaseline, PairBaseline, TextBaseline, TimeBaseline, VectorBaseline
from records.explanation import Level, Missing, Numbers, Place, Quality, UnseenLevels
from records.verdict import Verdict
from records.window import WindowSummary
from store.clickhouse.client import Connection, Store
from store.clickhouse.rows import results, selected

WINDOWS_BEFORE: Final = 500
"""So far back is looked for the first window that shows an effect."""

_FLOAT32: Final = 1e-7
"""Numbers are kept with so many digits: what lies on an edge may have fallen to the other side."""


class StoredWindow(NamedTuple):
    """A window as the store has it."""

    summary: WindowSummary
    verdict: Verdict


class Shown(NamedTuple):
    """Which features a window showed an effect of."""

    window: int
    opened_at_ns: int
    rows: int
    features: frozenset[str]
    effects: dict[str, float]
    """Of features with one test alone."""


class Around(NamedTuple):
    """What labels say of the predictions before and since a moment."""

    before: Quality | None
    since: Quality | None
    is_of_classes: bool
    """Labels have few values."""


class ExplanationQueries:
    """Every method raises `StoreUnavailableError` where the store cannot be asked now."""

    def __init__(self, store: Store) -> None:
        self._connection = Connection(store)

    def window(self, model: str, index: int | None, baseline_id: str | None) -> StoredWindow | None:
        """Return a model's window by its index, else the latest; of several with that index, of different baselines, the latest."""
        conditions = ["kind = 'data_drift'", "model = {model:String}"]
        conditions += ["window_index = {index:UInt64}"] if index is not None else []
        conditions += ["baseline_id = {baseline_id:String}"] if baseline_id is not None else []
        wanted = {"model": model, "index": index, "baseline_id": baseline_id}
        verdict = self._latest("verdicts", Verdict, conditions, wanted)
        if verdict is None:
            return None
        same = ["model = {model:String}", "window_index = {index:UInt64}", "baseline_id = {baseline_id:String}"]
        summary = self._latest("windows", WindowSummary, same, {"model": model, "index": verdict.index, "baseline_id": verdict.baseline_id})
        return None if summary is None else StoredWindow(summary, verdict)

    def before(self, model: str, baseline_id: str, index: int) -> list[Shown]:
        """Return what the windows before one showed, against the same baseline, the latest first; a bounded number."""
        statement = (
            "SELECT window_index, toUnixTimestamp64Nano(opened_at), rows, arrayFilter((name, shows) -> shows, features.feature, features.effect_above_floor), "
            "mapFromArrays(arrayFilter((name, tests) -> length(tests) = 1, features.feature, features.tests), "
            "arrayMap(tests -> mapValues(tests)[1].effect, arrayFilter(tests -> length(tests) = 1, features.tests))) "
            "FROM verdicts FINAL WHERE kind = 'data_drift' AND model = {model:String} AND baseline_id = {baseline_id:String} AND window_index < {index:UInt64} "
            "ORDER BY window_index DESC LIMIT {limit:UInt64}"
        )
        with self._connection() as client:
            rows = client.query(statement, {"model": model, "baseline_id": baseline_id, "index": index, "limit": WINDOWS_BEFORE}).result_rows
        return [Shown(window_index, opened_at_ns, count, frozenset(features), effects) for window_index, opened_at_ns, count, features, effects in rows]

    def baseline(self, model: str, baseline_id: str) -> Baseline | None:
        """Return a baseline by its id, with all that its features are made of."""
        statement = (
            "SELECT version, source, rows, toUnixTimestamp64Nano(created_at), format, features, pairs, vectors, texts, times, hashed FROM baselines FINAL "
            "WHERE model = {model:String} AND baseline_id = {baseline_id:String} ORDER BY created_at DESC LIMIT 1"
        )
        with self._connection() as client:
            found = client.query(statement, {"model": model, "baseline_id": baseline_id}).result_rows
        if not found:
            return None
        version, source, rows, created_at_ns, number, features, pairs, vectors, texts, times, hashed = found[0]
        return Baseline(
            format=number,
            baseline_id=baseline_id,
            model=model,
            version=version,
            source=source,
            rows=rows,
            created_at_ns=created_at_ns,
            features=msgspec.json.decode(features, type=tuple[FeatureBaseline, ...]),
            pairs=msgspec.json.decode(pairs or "null", type=PairBaseline | None),
            vectors=msgspec.json.decode(vectors or "[]", type=tuple[VectorBaseline, ...]),
            texts=msgspec.json.decode(texts or "[]", type=tuple[TextBaseline, ...]),
            times=msgspec.json.decode(times or "[]", type=tuple[TimeBaseline, ...]),
            hashed=tuple(hashed),
        )

    def exchanges_at(self, summary: WindowSummary, feature: str, place: Place, *, is_numeric: bool, limit: int) -> tuple[str, ...]:
        """Return exchanges of a window that lie in a place: where numbers have no bound, the furthest ones; else the latest."""
        condition = _condition(place, is_numeric=is_numeric)
        if condition is None:
            return ()
        statement = (
            f"SELECT toString(exchange_id) FROM features WHERE model = {{model:String}} AND {condition} "  # noqa: S608 - conditions are ours
            "AND started_at BETWEEN fromUnixTimestamp64Nano({opened_at_ns:Int64}) AND fromUnixTimestamp64Nano({closed_at_ns:Int64}) "
            f"GROUP BY exchange_id ORDER BY {_order(place)}, exchange_id LIMIT {limit:d}"
        )
        wanted = {"model": summary.model, "feature": feature, "opened_at_ns": summary.opened_at_ns, "closed_at_ns": summary.closed_at_ns, **_values(place)}
        with self._connection() as client:
            return tuple(row[0] for row in client.query(statement, wanted).result_rows)

    def quality(self, model: str, since_ns: int, period_ns: int) -> Around:
        """Return what labels say of what was served in the period before a moment, and since it; None where there are none."""
        statement = (
            "SELECT started_at >= fromUnixTimestamp64Nano({since_ns:Int64}) AS is_since, count(), avg(correct), avg(absolute_error), uniq(label) "
            "FROM labelled FINAL WHERE model = {model:String} AND role = 'served' AND prediction IS NOT NULL "
            "AND started_at >= fromUnixTimestamp64Nano({from_ns:Int64}) GROUP BY is_since"
        )
        with self._connection() as client:
            rows = client.query(statement, {"model": model, "since_ns": since_ns, "from_ns": max(0, since_ns - period_ns)}).result_rows
        found = {
            bool(is_since): (Quality(rows=count, correct_ratio=ratio, mean_absolute_error=error), labels) for is_since, count, ratio, error, labels in rows
        }
        before, since = (found.get(is_since, (None, 0)) for is_since in (False, True))
        return Around(before[0], since[0], max(before[1], since[1]) <= _CLASSES_AT_MOST)

    def _latest(self, table: str, kind: Any, conditions: list[str], wanted: dict[str, Any]) -> Any:
        statement = f"SELECT {selected(kind)} FROM {table} FINAL WHERE {' AND '.join(conditions)} ORDER BY closed_at DESC, window_index DESC LIMIT 1"  # noqa: S608 - likewise
        with self._connection() as client:
            lines = client.raw_query(statement, wanted, {"output_format_json_quote_denormals": 1}, "JSONEachRow")
        return next(iter(results(lines, kind)), None)


_CLASSES_AT_MOST: Final = 20

_NUMBER: Final = "numbers[{feature:String}]"
_IS_NUMBER: Final = f"(mapContains(numbers, {{feature:String}}) AND isFinite({_NUMBER}))"
_LEVEL: Final = f"if(mapContains(texts, {{feature:String}}), texts[{{feature:String}}], if({_IS_NUMBER}, toString({_NUMBER}), ''))"


def _condition(place: Place, *, is_numeric: bool) -> str | None:
    """Return what must hold for a row to lie in a place; None where that cannot be asked."""
    if isinstance(place, Numbers):
        bounds = [f"{_NUMBER} >= {{low:Float64}}"] * (place.low is not None) + [f"{_NUMBER} < {{high:Float64}}"] * (place.high is not None)
        return " AND ".join([_IS_NUMBER, *bounds])
    if isinstance(place, Level):
        return f"{_LEVEL} = {{level:String}}"
    if isinstance(place, UnseenLevels) and place.names:
        return f"{_LEVEL} IN {{levels:Array(String)}}"
    if isinstance(place, Missing):
        return f"NOT {_IS_NUMBER}" if is_numeric else f"{_LEVEL} = ''"
    return None


def _values(place: Place) -> dict[str, Any]:
    if isinstance(place, Numbers):
        low = None if place.low is None else place.low - _FLOAT32 * abs(place.low)
        high = None if place.high is None else place.high + _FLOAT32 * abs(place.high)
        return {name: end for name, end in (("low", low), ("high", high)) if end is not None}
    if isinstance(place, Level):
        return {"level": place.name}
    return {"levels": list(place.names)} if isinstance(place, UnseenLevels) else {}


def _order(place: Place) -> str:
    if isinstance(place, Numbers) and (place.low is None) != (place.high is None):
        return f"max({_NUMBER}) DESC" if place.high is None else f"min({_NUMBER})"
    return "max(started_at) DESC"
