"""Records as the JSON API shows them.

The names are those of the records; times (`*_at_ns`) are shown as RFC 3339 text (`*_at`), null where there is none, and durations (`*_ns`)
that were not reached as null.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, TypeAlias

import msgspec

from records.alert import Alert
from records.changes import Changes
from records.exchange import Body, Exchange
from records.explanation import Explanation
from records.ids import format_uuid
from records.status import ModelStatus, StatusReport
from records.times import format_time
from records.verdict import Verdict

Document: TypeAlias = dict[str, Any]


def status_document(report: StatusReport) -> Document:
    """Return the whole report, with the counts as a sum that can be checked by eye."""
    document = _document(report)
    document["uptime_seconds"] = (report.reported_at_ns - report.started_at_ns) / 1e9
    document["counts"] |= {"dropped_total": report.counts.dropped_total, "conserved": report.counts.conserved, "identity": report.counts.identity}
    for entry, agreement in zip(document["agreement"], report.agreement, strict=True):
        entry |= {"agreement_ratio": agreement.agreement_ratio, "evidence_ratio": agreement.evidence_ratio}
    return document


def model_summary(model: ModelStatus) -> Document:
    """Return a model without its features, but with the names of those that carry the evidence."""
    risk = msgspec.structs.replace(model.risk, last_verdict=None) if model.risk else None
    document = _document(msgspec.structs.replace(model, last_verdict=None, risk=risk))
    del document["last_verdict"]
    if model.risk:
        del document["risk"]["last_verdict"]
        document["risk"]["evidence_ratio"] = model.risk.evidence_ratio
    document["evidence_ratio"] = model.evidence_ratio
    document["waiting"] = model.waiting
    document["carriers"] = model.last_verdict.carriers if model.last_verdict else ()
    return document


def model_document(model: ModelStatus) -> Document:
    """Return all about a model: the verdict on its latest window with every feature."""
    last, risk = model.last_verdict, model.risk
    document = model_summary(model) | {"last_verdict": verdict_document(last) if last else None}
    if risk:
        document["risk"]["last_verdict"] = verdict_document(risk.last_verdict) if risk.last_verdict else None
    return document


def verdict_document(verdict: Verdict) -> Document:
    """Return one window's verdict."""
    return _document(verdict) | {"carriers": verdict.carriers}


def explanation_document(explanation: Explanation) -> Document:
    """Return why a verdict is what it is, by numbers."""
    return _document(explanation)


def changes_document(changes: Changes) -> Document:
    """Return what changed from one period to the next."""
    return _document(changes)


def alert_document(alert: Alert) -> Document:
    """Return one alert."""
    return _document(alert)


def exchange_document(exchange: Exchange) -> Document:
    """Return one exchange with its bodies: as text where they are UTF-8, else as Base64."""
    fields = msgspec.structs.asdict(exchange)
    return _readable(fields) | {
        "exchange_id": format_uuid(exchange.exchange_id),
        "request": _body_document(exchange.request),
        "response": _body_document(exchange.response),
    }


def _body_document(body: Body) -> Document:
    fields = msgspec.structs.asdict(body)
    content = fields.pop("content")
    try:
        return {"content": content.decode(), **fields}
    except UnicodeDecodeError:
        return {"content_base64": b64encode(content).decode(), **fields}


def _document(record: msgspec.Struct) -> Document:
    return _readable(msgspec.to_builtins(record))


def _readable(fields: Document) -> Document:
    """Write times and durations as people read them, however deep."""
    return dict(_entry(name, value) for name, value in fields.items())


def _entry(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_at_ns"):
        return name.removesuffix("_ns"), format_time(value) if value else None
    if name.endswith("_ns"):
        return name, value if value >= 0 else None
    if isinstance(value, dict):
        return name, _readable(value)
    if isinstance(value, list | tuple):
        return name, [_readable(item) if isinstance(item, dict) else item for item in value]
    return name, value
