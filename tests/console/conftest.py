"""A small monitor's views, held in memory."""

import errno
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from console.api import build_app
from console.guarding import Guard
from records.acceptance import AcceptReport, AcceptRequest
from records.access import AccessRole, Denied, Identity
from records.alert import Alert, AlertState, Severity
from records.changes import Changes, Span
from records.exchange import Body, ErrorKind, Exchange, Role
from records.explanation import Cell, Explanation, FeatureExplanation, Gain, Level, Missing, Numbers, Performance, Quality
from records.ids import new_exchange_id
from records.metrics import BUCKET_LABELS, Metric
from records.receipt import Receipt
from records.status import AgreementStatus, ConsumerStatus, Counts, ModelStatus, RouteStatus, ShadowStatus, StatusReport, StoreStatus, TracedValue, WriterStatus
from records.verdict import DriftState, FeatureVerdict, Finding, Problem, TestResult, Verdict, VerdictKind

NOON_NS = 1_763_640_000_000_000_000  # 2025-11-20T12:00:00Z
DURATION = Metric.HTTP_REQUEST_DURATION.metric_name


def make_feature(name: str, share: float, effect: float) -> FeatureVerdict:
    tests = {"wasserstein": TestResult(statistic=effect, p_value=0.001, effect=effect), "ks": TestResult(statistic=0.2, p_value=0.002, effect=0.2)}
    return FeatureVerdict(feature=name, tests=tests, log_evidence=9.0, share=share, effect_above_floor=effect >= 0.1, summary="mean 1 → 2 (+0.3 sd)")


def make_verdict(model: str = "fraud", index: int = 7, features: Sequence[FeatureVerdict] = ()) -> Verdict:
    return Verdict(
        model=model,
        version="3",
        baseline_id="00ff00ff00ff00ff",
        index=index,
        opened_at_ns=NOON_NS,
        closed_at_ns=NOON_NS + 60_000_000_000,
        rows=1000,
        state=DriftState.FIRING,
        alert=True,
        evidence=12_300.0,
        threshold=4_320.0,
        features=tuple(features) or (make_feature("mean area", 0.62, 0.28), make_feature("worst area", 0.38, 0.3), make_feature("symmetry", 0.0, 0.01)),
    )


def make_model(model: str = "fraud", **changes: object) -> ModelStatus:
    status = ModelStatus(
        model=model,
        version="3",
        state=DriftState.FIRING,
        baseline_id="00ff00ff00ff00ff",
        baseline_source="fraud.csv",
        baseline_rows=5000,
        baseline_rows_wanted=5000,
        rows=8000,
        windows=8,
        open_rows=12,
        evidence=12_300.0,
        threshold=4_320.0,
        last_verdict=make_verdict(model),
    )
    return msgspec.structs.replace(status, **changes)


def make_exchange(role: Role = Role.SERVED, content: bytes = b'{"outputs": []}') -> Exchange:
    return Exchange(
        exchange_id=new_exchange_id(NOON_NS),
        request_id="request-1",
        role=role,
        route="default",
        arm="upstream" if role is Role.SERVED else "shadow-1",
        started_at_ns=NOON_NS,
        total_ns=7,
        method="POST",
        path="/v2/models/fraud/infer",
        status=200,
        response=Body(content, len(content), content_type="application/json"),
    )


def make_explanation() -> Explanation:
    ends = [None, 0.0, 1.0, 2.0, None]
    places = [Numbers(low=low, high=high) for low, high in pairwise(ends)]
    numbers = tuple(Cell(place=place, before=0.25, now=now) for place, now in zip(places, (0.1, 0.2, 0.3, 0.4), strict=True))
    levels = (Cell(place=Level("a"), before=1.0, now=0.9), Cell(place=Missing(), before=0.0, now=0.1))
    gain = Gain(place=places[-1], before=0.25, now=0.4, exchange_ids=("019a9f00-0000-7000-8000-000000000001",))
    tests = {"ks": TestResult(statistic=0.2, p_value=0.002, effect=0.2)}
    verdict = make_verdict()
    return Explanation(
        **{
            name: getattr(verdict, name)
            for name in ("model", "version", "baseline_id", "index", "opened_at_ns", "closed_at_ns", "rows", "state", "evidence", "threshold")
        },
        compared_with="baseline 00ff00ff00ff00ff (5,000 rows of fraud.csv, made 2025-11-01T09:00:00.000Z)",
        since_at_ns=NOON_NS,
        windows_since=3,
        rows_since=3000,
        features=(
            FeatureExplanation(
                feature="mean area", share=0.6, since_at_ns=NOON_NS, summary="mean 1 → 2", tests=tests, effects={"psi": 0.3}, cells=numbers, gain=gain
            ),
            FeatureExplanation(feature="country & <co>", share=0.4, since_at_ns=0, summary="'a' 100.0% → 90.0%", tests=tests, cells=levels),
        ),
        features_left_out=0,
        quality=(Finding(feature="mean area", problem=Problem.UNKNOWN, rows=12, text="mean area: 12 rows are <odd>."),),
        performance=Performance(
            before=Quality(rows=400, correct_ratio=0.9, mean_absolute_error=None),
            since=Quality(rows=40, correct_ratio=0.5, mean_absolute_error=None),
            words="Of 40 labelled predictions since then 50.0% were right.",
        ),
    )


@dataclass
class MemoryViews:
    """Implements `records.ports.Views`; a test changes what it needs."""

    report: StatusReport
    reasons: list[str] = field(default_factory=list)
    watched: list[ModelStatus] = field(default_factory=list)
    counted: dict[tuple[str, ...], int] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    stored: list[Exchange] = field(default_factory=list)
    traced: dict[tuple[str, ...], TracedValue] = field(default_factory=dict)
    failure: Exception | None = None
    explained: Explanation | None = field(default_factory=make_explanation)
    asked: tuple[str, int | None, str | None] | None = None

    def unready(self) -> Sequence[str]:
        return self.reasons

    def status(self) -> StatusReport:
        return self.report

    def figures(self) -> tuple[StatusReport, Mapping[tuple[str, ...], int]]:
        return self.status(), self.counted

    def exemplars(self) -> Mapping[tuple[str, ...], TracedValue]:
        return self.traced

    def models(self) -> Sequence[ModelStatus]:
        return self.watched

    def alerts(self) -> Sequence[Alert]:
        labels = {"model": "fraud", "version": "3"}
        return [
            Alert(
                name="ModelDataDrift",
                severity=Severity.PAGE,
                state=AlertState.FIRING,
                labels=labels,
                summary="fraud drifts",
                description="by numbers",
                started_at_ns=NOON_NS,
                fired_at_ns=NOON_NS + 1,
            )
        ]

    def windows(self, model: str, kind: VerdictKind, limit: int) -> Sequence[Verdict]:
        if self.failure:
            raise self.failure
        return [verdict for verdict in self.verdicts if (verdict.model, verdict.kind) == (model, kind)][:limit]

    def explanation(self, model: str, index: int | None, baseline_id: str | None) -> Explanation | None:
        if self.failure:
            raise self.failure
        self.asked = (model, index, baseline_id)
        return self.explained

    def changes(self, model: str, period_seconds: float) -> Changes:
        if period_seconds == 120:
            raise ValueError("the store has no window of 'fraud' in this period")
        span = Span(opened_at_ns=NOON_NS, closed_at_ns=NOON_NS + int(period_seconds * 1e9), rows=1000, windows=2)
        return Changes(model=model, baseline_id="00ff00ff00ff00ff", before=span, now=span, features=(make_feature("mean area", 0.6, 0.28),), unchanged=2)

    def exchanges(self, identifier: str) -> Sequence[Exchange]:
        return [exchange for exchange in self.stored if exchange.request_id == identifier]


@pytest.fixture
def views() -> MemoryViews:
    observed = dict(zip(BUCKET_LABELS, [5, 0, 3, *[0] * 11, 2], strict=True))
    return MemoryViews(
        StatusReport(
            version="0.1.0",
            started_at_ns=NOON_NS,
            reported_at_ns=NOON_NS + 90_500_000_000,
            counts=Counts(captured=1100, stored=1000, dropped={"spool_full": 60, "poison": 0}, pending=40, torn=1),
            spool_bytes=4 << 20,
            writers=(WriterStatus(writer="20251120T120000.000000Z-w0-7", alive=True, captured=1100, pending=40),),
            consumers=(ConsumerStatus(consumer="store", running=True, lag_records=40), ConsumerStatus(consumer="detectors", running=True, lag_records=3)),
            store=StoreStatus(kind="embedded", up=True, changed_at_ns=NOON_NS),
            routes=(
                RouteStatus(
                    route="default",
                    path="/",
                    upstream="http://127.0.0.1:9000",
                    shadows=(ShadowStatus(arm="shadow-1", url="http://127.0.0.1:9001", share=0.25),),
                ),
            ),
            agreement=(AgreementStatus(route="default", arm="shadow-1", model="fraud", compared=200, agreed=190, evidence=432.0, threshold=4_320.0),),
        ),
        watched=[make_model()],
        counted={
            (Metric.HTTP_REQUESTS.metric_name, "default", "upstream", "served", "200"): 10,
            (Metric.CLIENT_CONNECTIONS.metric_name,): 3,
            **{(f"{DURATION}_bucket", "default", "upstream", "served", bound): count for bound, count in observed.items()},
            (f"{DURATION}_sum_ns", "default", "upstream", "served"): 21_500_000_000,
            (Metric.DROPPED.metric_name, "spool_full"): 55,  # what the ledgers know; the report also knows the loader's
            ("overflow",): 4,
        },
        verdicts=[make_verdict(index=7), make_verdict(index=6)],
        stored=[make_exchange(), make_exchange(Role.SHADOW, b"\xff\x00")],
    )


class MemoryLabels:
    """Implements `records.ports.LabelIntake`: takes whatever comes, or says what a test wants."""

    def __init__(self) -> None:
        self.bodies: list[tuple[bytes, str]] = []
        self.answer: Receipt | Exception = Receipt(accepted=1, refused=0)

    def __call__(self, content: bytes, content_type: str) -> Receipt:
        self.bodies.append((content, content_type))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class MemoryEvents:
    """Implements `records.ports.EventIntake`, likewise."""

    def __init__(self) -> None:
        self.bodies: list[tuple[bytes, Mapping[str, str]]] = []
        self.answer: Receipt | Exception = Receipt(accepted=1, refused=0)

    async def __call__(self, content: bytes, fields: Mapping[str, str]) -> Receipt:
        self.bodies.append((content, fields))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def take_labels() -> MemoryLabels:
    return MemoryLabels()


@pytest.fixture
def take_events() -> MemoryEvents:
    return MemoryEvents()


class MemoryAccept:
    """Implements `records.ports.Accept`."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, AcceptRequest]] = []
        self.error: Exception | None = None

    def __call__(self, wanted: AcceptRequest, who: str) -> AcceptReport:
        if self.error:
            raise self.error
        self.wanted.append((who, wanted))
        return AcceptReport(model=wanted.model, baseline_id="11ff11ff11ff11ff", replaced="00ff00ff00ff00ff", rows=5000, features=3, source="traffic")


@pytest.fixture
def accept() -> MemoryAccept:
    return MemoryAccept()


class MemoryAudit:
    """Implements `records.ports.Audit`."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str]] = []
        self.full = False

    def __call__(self, who: str, action: str, what: str) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.entries.append((who, action, what))


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


class MemoryKeys:
    """Implements `records.ports.Authenticate`: `Bearer VIEWER` is good for what it says, and `Basic` is for somebody else."""

    def __call__(self, authorization: bytes, certificate: str) -> Identity | Denied | None:
        if not authorization.startswith(b"Bearer "):
            return None
        role = authorization.decode().removeprefix("Bearer ")
        if role in set(AccessRole):
            return Identity(f"some {role}", frozenset({AccessRole(role)}))
        return Denied(401, ErrorKind.UNAUTHENTICATED, "this key is unknown")

    def refresh(self) -> None:
        pass


@pytest.fixture
def guard(audit: MemoryAudit) -> Guard:
    """On loopback and without keys: everybody may do everything."""
    return Guard(MemoryKeys(), frozenset({AccessRole.ADMIN}), own_names_only=True, audit=audit)


@pytest.fixture
async def client(
    views: MemoryViews, take_labels: MemoryLabels, take_events: MemoryEvents, accept: MemoryAccept, guard: Guard
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(TestServer(build_app(views, take_labels, take_events, accept, guard))) as client:
        yield client


@pytest.fixture(scope="session")
def explanation() -> Explanation:
    return make_explanation()


@pytest.fixture(name="make_model")
def _make_model():
    return make_model


@pytest.fixture(name="make_verdict")
def _make_verdict():
    return make_verdict


@pytest.fixture(name="make_feature")
def _make_feature():
    return make_feature
