"""A query to ClickHouse, as the plugin `grafana-clickhouse-datasource` (version 4) reads it."""

from __future__ import annotations

from typing import Any, Final

from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models.common import DataSourceRef

CLICKHOUSE: Final = DataSourceRef(type_val="grafana-clickhouse-datasource", uid="${clickhouse}")

_FORMATS: Final = {"timeseries": 0, "table": 1}


class ClickHouseQuery(variants.Dataquery):
    """What the SDK writes into a panel; the SDK knows no such data source."""

    def __init__(self, sql: str, kind: str, ref_id: str) -> None:
        """`kind` is `timeseries`, with a column `time`, or `table`."""
        self._sql = sql
        self._kind = kind
        self.ref_id = ref_id

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in the dashboard."""
        return {
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "format": _FORMATS[self._kind],
            "queryType": self._kind,
            "rawSql": self._sql,
            "refId": self.ref_id,
        }


class ClickHouse(builder.Builder[variants.Dataquery]):
    """Makes one."""

    def __init__(self, sql: str, kind: str, ref_id: str = "A") -> None:
        self._query = ClickHouseQuery(sql, kind, ref_id)

    def build(self) -> variants.Dataquery:
        """Return it."""
        return self._query
