"""What the operator's surface shows: the state of the watching side at one moment."""

from __future__ import annotations

from typing import Final

import msgspec

from records.baseline import RiskBaseline
from records.comparison import ShadowComparison
from records.metrics import DamageKind
from records.times import format_time
from records.verdict import DriftState, Finding, Verdict


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The counted promise: captured = stored + dropped + pending, in exchange records."""

    captured: int
    stored: int
    dropped: dict[str, int]
    """By `records.metrics.DropReason`."""
    pending: int
    torn: int = 0
    """Last frames that a kill cut short. Nobody saw those exchanges answered: they are not captured, and shown apart."""

    @property
    def dropped_total(self) -> int:
        """Records lost for whatever reason."""
        return sum(self.dropped.values())

    @property
    def conserved(self) -> bool:
        """Whether the promise holds."""
        return self.captured == self.stored + self.dropped_total + self.pending

    @property
    def identity(self) -> str:
        """The promise in numbers, with ≠ where it is broken."""
        sign = "=" if self.conserved else "≠"
        return f"captured {self.captured:,} {sign} stored {self.stored:,} + dropped {self.dropped_total:,} + pending {self.pending:,}"


class WriterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One generation of one proxy worker that the spool still knows."""

    writer: str
    alive: bool
    captured: int
    pending: int


_DAMAGES: Final = {
    DamageKind.CORRUPT: "damaged bytes",
    DamageKind.MISSING: "records that should come before are missing",
    DamageKind.TORN: "a record that a kill cut short, whose exchange nobody saw answered",
}


class SpoolDamage(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the spool could not be read."""

    kind: DamageKind
    writer: str
    segment: int
    """Counted from 1: the number in the file's name."""
    offset_bytes: int
    """From the file's beginning."""
    first_sequence: int
    """The first record that should have been there."""
    records_lost: int
    """0 where only an outcome was hit, or a frame that nobody had been promised."""

    @property
    def words(self) -> str:
        """What was found there, for the log."""
        last = self.first_sequence + self.records_lost - 1
        lost = f"records {self.first_sequence} to {last} are lost" if self.records_lost else "no record is lost"
        return f"{_DAMAGES[self.kind]}; {lost}"


class ConsumerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One reader of the spool: the store's loader, or the detectors."""

    consumer: str
    running: bool
    lag_records: int


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """ClickHouse as the loader sees it."""

    kind: str
    """`embedded` or `server`."""
    up: bool
    """Whether the last insert succeeded; true before the first."""
    changed_at_ns: int
    """Since when it has been up, or down."""
    error: str = ""
    """The last failure, in one line, while it is down."""
    refusal: str = ""
    """Why it refused a record last, in one line; empty while it took all. Those that it refused are in the table `dead_letters`."""


class LabelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Labels on their way."""

    unstored: int = 0
    """Accepted, and not in the store yet."""
    waiting: int = 0
    """In the store, and their exchange is waited for."""
    error: str = ""
    """Why they do not get on, in one line; empty while they do."""


class ShadowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One shadow of a route, as it is set."""

    arm: str
    url: str
    share: float


class RouteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One route, as it is set."""

    route: str
    path: str
    upstream: str
    shadows: tuple[ShadowStatus, ...] = ()


class AgreementStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How often a shadow's reply said the same as the served one, for one model."""

    route: str
    arm: str
    model: str
    compared: int
    """Pairs, since the monitor started."""
    agreed: int
    state: DriftState = DriftState.OK
    windows: int = 0
    """Tested, also before the monitor started."""
    tolerance: float = 0.0
    """The share of answers that may differ."""
    evidence: float = 0.0
    threshold: float = 0.0
    """The evidence at which the budget allows an alert."""
    summary: str = ""
    """How many answers differ and how, in words; empty before the first window."""
    last: ShadowComparison | None = None
    """The latest window."""

    @property
    def agreement_ratio(self) -> float | None:
        """The share of pairs that agreed; None before the first pair."""
        return self.agreed / self.compared if self.compared else None

    @property
    def evidence_ratio(self) -> float:
        """Evidence relative to the threshold: 1 is the line."""
        return self.evidence / self.threshold if self.threshold else 0.0


class RiskStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How wrong one model's predictions are, by their labels."""

    state: DriftState
    baseline: RiskBaseline | None = None
    """None while it is learned."""
    baseline_rows: int
    """Labelled rows in the baseline; while one is learned, rows so far."""
    baseline_rows_wanted: int
    """Rows at which a learned baseline is complete; for a finished one the same as `baseline_rows`."""
    rows: int = 0
    """Labelled rows that entered a window, since the baseline."""
    windows: int = 0
    open_rows: int = 0
    """Labelled rows that wait for their window to close."""
    evidence: float = 0.0
    threshold: float = 0.0
    """The evidence at which the budget allows an alert; 0 while the baseline is learned."""
    last_verdict: Verdict | None = None

    @property
    def evidence_ratio(self) -> float:
        """Evidence relative to the threshold: 1 is the line."""
        return self.evidence / self.threshold if self.threshold else 0.0


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One watched model."""

    model: str
    version: str
    """As the latest window has it."""
    state: DriftState
    baseline_id: str = ""
    """Empty while the baseline is learned."""
    baseline_source: str = ""
    baseline_quality: tuple[Finding, ...] = ()
    """Which of its features can show less than others, and why."""
    baseline_rows: int
    """Rows in the baseline; while one is learned, rows so far."""
    baseline_rows_wanted: int
    """Rows at which a learned baseline is complete; for a finished one the same as `baseline_rows`."""
    rows: int
    """Rows that entered a window, since the baseline."""
    windows: int
    """Windows tested against the baseline."""
    open_rows: int = 0
    """Rows in the window that has yet to close."""
    opened_at_ns: int = 0
    """When that window began; 0 where it has no row."""
    fewest_rows: int = 0
    """Rows on which a window is tested at least."""
    is_waiting: bool = False
    """Whether that window's time is over, and it waits for its fewest rows."""
    late_rows: int = 0
    """Rows, in windows that closed, whose own window had closed long before."""
    untimed_rows: int = 0
    """Rows that did not say when they happened, where a feature is to say it."""
    latest_row_at_ns: int = 0
    """The latest time of a row; 0 before the first."""
    evidence: float
    threshold: float
    """The evidence at which the budget allows an alert; 0 while the baseline is learned."""
    last_verdict: Verdict | None = None
    """On the latest window."""
    risk: RiskStatus | None = None
    """None before the first label."""

    @property
    def waiting(self) -> str:
        """What is waited for before there is a verdict, in words; empty where the next one is due in time."""
        if self.state is DriftState.LEARNING:
            return f"waiting for rows of a baseline: {self.baseline_rows:,} of {self.baseline_rows_wanted:,}"
        if self.is_waiting:
            return f"waiting for rows: {self.open_rows:,} of {self.fewest_rows:,}, since {format_time(self.opened_at_ns)}"
        return ""

    @property
    def evidence_ratio(self) -> float:
        """Evidence relative to the threshold: 1 is the line."""
        return self.evidence / self.threshold if self.threshold else 0.0


class TracedValue(msgspec.Struct, frozen=True, kw_only=True):
    """An observation that a trace shows: an exemplar of OpenMetrics."""

    trace_id: str
    """32 lower-case hexadecimal digits."""
    value: float
    at_seconds: float
    """Unix time."""


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The monitor at one moment."""

    version: str
    started_at_ns: int
    reported_at_ns: int
    counts: Counts
    spool_bytes: int
    spool_limit_bytes: int = 0
    writers: tuple[WriterStatus, ...] = ()
    damages: tuple[SpoolDamage, ...] = ()
    """Found since the monitor started, the latest ones, oldest first."""
    consumers: tuple[ConsumerStatus, ...] = ()
    store: StoreStatus
    labels: LabelStatus = LabelStatus()
    routes: tuple[RouteStatus, ...] = ()
    """Empty where the monitor runs alone and was not told."""
    agreement: tuple[AgreementStatus, ...] = ()
    certificates_end: dict[str, float] = {}
    """By file, when the first of its certificates ends, in Unix seconds."""
