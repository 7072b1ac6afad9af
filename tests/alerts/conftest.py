"""Verdicts, reports and alerts as the rooms before would hand them in."""

import pytest

from records.alert import Alert, AlertState, Severity
from records.status import Counts, StatusReport, StoreStatus
from records.verdict import DriftState, FeatureVerdict, Verdict

NOON_NS = 1_763_640_000_000_000_000  # 2025-11-20T12:00:00Z
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


@pytest.fixture
def noon_ns() -> int:
    return NOON_NS


@pytest.fixture
def make_verdict():
    def make(index: int = 0, *, shares: dict[str, float] | None = None, model: str = "fraud", version: str = "3", state: DriftState = DriftState.FIRING):
        shares = {"mean area": 0.62, "worst area": 0.36} if shares is None else shares
        features = tuple(
            FeatureVerdict(feature=name, tests={}, log_evidence=9.0, share=share, effect_above_floor=share > 0, summary="mean 654 → 752 (+0.28 sd)")
            for name, share in shares.items()
        )
        return Verdict(
            model=model,
            version=version,
            baseline_id="00ff00ff00ff00ff",
            compared_with="baseline 00ff00ff00ff00ff (5,000 rows of fraud.csv, made 2025-11-01T09:00:00.000Z)",
            index=index,
            opened_at_ns=NOON_NS + index * MINUTE_NS,
            closed_at_ns=NOON_NS + (index + 1) * MINUTE_NS,
            rows=1000,
            state=state,
            evidence=12_300.4,
            threshold=4_320.0,
            features=features,
        )

    return make


@pytest.fixture
def make_report():
    def make(at_seconds: float = 0, *, dropped: dict[str, int] | None = None, down_since_seconds: float | None = None):
        up = down_since_seconds is None
        changed_at_ns = NOON_NS if up else NOON_NS + int(down_since_seconds * SECOND_NS)
        return StatusReport(
            version="0.1.0",
            started_at_ns=NOON_NS,
            reported_at_ns=NOON_NS + int(at_seconds * SECOND_NS),
            counts=Counts(captured=100, stored=90, dropped=dropped or {}, pending=0),
            spool_bytes=0,
            store=StoreStatus(kind="server", up=up, changed_at_ns=changed_at_ns, error="" if up else "connection refused"),
        )

    return make


@pytest.fixture
def make_alert():
    def make(model: str = "fraud", *, name: str = "ModelDataDrift", state: AlertState = AlertState.FIRING, version: str = "3"):
        return Alert(
            name=name,
            severity=Severity.PAGE,
            state=state,
            labels={"model": model, "version": version},
            summary=f"{model}: data drift in mean area",
            description="line one\nline two",
            features=("mean area", "worst area"),
            started_at_ns=NOON_NS,
            fired_at_ns=NOON_NS + MINUTE_NS,
            resolved_at_ns=NOON_NS + 2 * MINUTE_NS if state is AlertState.RESOLVED else 0,
            runbook_url="docs/runbooks/README.md#modeldatadrift",
            console_url=f"http://127.0.0.1:8081/api/v1/models/{model}",
            report_url=f"http://127.0.0.1:8081/api/v1/models/{model}/windows/7/report?baseline=00ff",
        )

    return make
