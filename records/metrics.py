"""Every metric's name, labels and help text, once. Prometheus conventions: base units, `_total` for counters."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final, NamedTuple


class MetricType(StrEnum):
    """How Prometheus reads it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricSpec(NamedTuple):
    """A metric as Prometheus shows it."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()


DURATION_BUCKETS_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets of OpenTelemetry's HTTP semantic conventions for `http.server.request.duration`."""

BUCKET_LABELS: Final = (*map(str, DURATION_BUCKETS_SECONDS), "+Inf")
"""The values of a histogram's label `le`, in order."""

BUCKET_SUFFIX: Final = "_bucket"
SUM_NS_SUFFIX: Final = "_sum_ns"
"""How a histogram is counted in plain integers, two additions per observation: for each set of label values one counter per bucket,
`<name>_bucket` with a last label `le`, that counts the observations of this bucket alone (smaller ones not included, unlike what
Prometheus is shown), and one counter `<name>_sum_ns`. The number of observations is the sum of the buckets."""

_ENDPOINT: Final = ("route", "arm", "endpoint")

_MODEL: Final = ("model", "version")

_SERVED: Final = ("route", *_MODEL, "arm", "role")

_PROCESS: Final = ("component", "pid")

_COUNTER, _GAUGE, _HISTOGRAM = MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM


class Metric(Enum):
    """The member is what code names; its value is what is exported."""

    # the data plane, counted in the workers' ledgers
    HTTP_REQUESTS = MetricSpec("driftline_http_requests_total", _COUNTER, "Exchanges ended, by what was answered.", ("route", "arm", "role", "code"))
    HTTP_REQUEST_DURATION = MetricSpec(
        "driftline_http_request_duration_seconds", _HISTOGRAM, "From the request's head until the reply was whole.", ("route", "arm", "role")
    )
    EXCHANGE_ERRORS = MetricSpec(
        "driftline_exchange_errors_total", _COUNTER, "Exchanges that did not end in an ordinary reply.", ("route", "arm", "role", "kind")
    )
    REPLIES_CUT = MetricSpec(
        "driftline_http_replies_cut_total", _COUNTER, "Replies that began well, and were cut short by the upstream's fault.", ("route", "arm", "role")
    )
    MIRROR_DUE = MetricSpec("driftline_mirror_due_total", _COUNTER, "Requests that a shadow was to get.", ("route", "arm"))
    MIRRORED = MetricSpec("driftline_mirrored_total", _COUNTER, "Requests whose whole copy was sent to a shadow, counted when it has ended.", ("route", "arm"))
    MIRROR_SKIPPED = MetricSpec("driftline_mirror_skipped_total", _COUNTER, "Requests that were due and not sent, or not wholly.", ("route", "arm", "reason"))
    MIRROR_CIRCUITS_OPEN = MetricSpec("driftline_mirror_circuits_open", _GAUGE, "Workers that leave a shadow alone because it fails.", ("route", "arm"))
    RETRIES = MetricSpec("driftline_retries_total", _COUNTER, "Requests sent again because a kept connection closed without a word.", ("route", "arm"))
    CLIENT_CONNECTIONS_REFUSED = MetricSpec(
        "driftline_client_connections_refused_total", _COUNTER, "Client connections answered 503 because the worker had as many as it may."
    )
    TLS_HANDSHAKES_FAILED = MetricSpec("driftline_tls_handshakes_failed_total", _COUNTER, "Clients with whom no TLS connection came about.", ("reason",))
    CLIENT_CONNECTIONS = MetricSpec("driftline_client_connections", _GAUGE, "Client connections open now.")
    REQUESTS_IN_FLIGHT = MetricSpec("driftline_http_requests_in_flight", _GAUGE, "Requests being forwarded now.")
    ENDPOINTS = MetricSpec("driftline_endpoints", _GAUGE, "Endpoints of an upstream as workers know them: each worker counts each address.", _ENDPOINT)
    ENDPOINTS_IN_SERVICE = MetricSpec(
        "driftline_endpoints_in_service", _GAUGE, "Those of `driftline_endpoints` that are neither ejected nor failing their health checks.", _ENDPOINT
    )
    ENDPOINT_REQUESTS_IN_FLIGHT = MetricSpec(
        "driftline_endpoint_requests_in_flight", _GAUGE, "Requests that an endpoint has now, and connections being made to it.", _ENDPOINT
    )
    ENDPOINT_EJECTIONS = MetricSpec(
        "driftline_endpoint_ejections_total", _COUNTER, "Times that a worker left an endpoint out for a while.", (*_ENDPOINT, "reason")
    )
    ENDPOINT_CHECKS_FAILED = MetricSpec("driftline_endpoint_checks_failed_total", _COUNTER, "Health checks that an endpoint did not pass.", _ENDPOINT)
    # the counted promise: captured = stored + dropped + pending
    CAPTURED = MetricSpec("driftline_exchanges_captured_total", _COUNTER, "Exchange records made by the data plane.")
    STORED = MetricSpec("driftline_exchanges_stored_total", _COUNTER, "Exchange records that the store has acknowledged.")
    DROPPED = MetricSpec("driftline_exchanges_dropped_total", _COUNTER, "Exchange records lost, by reason.", ("reason",))
    NOT_CAPTURED = MetricSpec(
        "driftline_exchanges_not_captured_total", _COUNTER, "Exchanges of which no record was to be made, by the settings.", ("route", "reason")
    )
    BODIES_NOT_KEPT = MetricSpec(
        "driftline_bodies_not_kept_total", _COUNTER, "Bodies left out of records because the rules of redaction could not see into them.", ("route", "reason")
    )
    OUTCOMES_DROPPED = MetricSpec("driftline_outcomes_dropped_total", _COUNTER, "Late outcomes of stored exchanges that found no room in the spool.")
    PENDING = MetricSpec("driftline_exchanges_pending", _GAUGE, "Exchange records in the spool that the store has not acknowledged yet.")
    # by model and version, counted when the records are stored
    MODEL_REQUESTS = MetricSpec("driftline_model_requests_total", _COUNTER, "Stored exchanges of a model's version, by what was answered.", (*_SERVED, "code"))
    MODEL_REQUEST_DURATION = MetricSpec(
        "driftline_model_request_duration_seconds", _HISTOGRAM, "Of these, from the request's head until the reply was whole.", _SERVED
    )
    MODEL_REQUEST_ERRORS = MetricSpec(
        "driftline_model_request_errors_total", _COUNTER, "Those of them that did not end in an ordinary reply.", (*_SERVED, "kind")
    )
    # the watching side
    SPOOL_BYTES = MetricSpec("driftline_spool_bytes", _GAUGE, "Disk space that the spool's segments take.")
    SPOOL_LIMIT_BYTES = MetricSpec("driftline_spool_limit_bytes", _GAUGE, "Disk space that they may take (`spool.max_size`).")
    SPOOL_DAMAGES = MetricSpec("driftline_spool_damages_total", _COUNTER, "Places where the spool could not be read, by what was found there.", ("kind",))
    SPOOL_SYNCS_FAILED = MetricSpec("driftline_spool_syncs_failed_total", _COUNTER, "Times that the spool could not be brought to the disk (`spool.fsync`).")
    CONSUMER_LAG = MetricSpec("driftline_consumer_lag_records", _GAUGE, "Records that a consumer has yet to read.", ("consumer",))
    DETECTOR_SKIPPED = MetricSpec("driftline_detector_skipped_total", _COUNTER, "Records that the detectors passed over to keep up.")
    STORE_UP = MetricSpec("driftline_store_up", _GAUGE, "1 when the last insert into ClickHouse succeeded.")
    STORE_ERRORS = MetricSpec("driftline_store_errors_total", _COUNTER, "Inserts that failed and were tried again.")
    UNDECODABLE = MetricSpec("driftline_undecodable_total", _COUNTER, "Bodies that gave no tensors, by format and reason.", ("format", "reason"))
    ROWS_WATCHED = MetricSpec("driftline_rows_watched_total", _COUNTER, "Rows of features that entered a window.", ("model",))
    FEATURES_DROPPED = MetricSpec("driftline_features_dropped_total", _COUNTER, "Decoded rows given up because the store did not take them in time.")
    LATE_ROWS = MetricSpec(
        "driftline_late_rows_total", _COUNTER, "Those whose own window had closed long before; they are in the one that was open.", ("model",)
    )
    UNTIMED_ROWS = MetricSpec(
        "driftline_untimed_rows_total", _COUNTER, "Rows that did not say when they happened, where `drift.event_time` is set.", ("model",)
    )
    LATEST_ROW = MetricSpec(
        "driftline_latest_row_timestamp_seconds", _GAUGE, "The latest time of a row: a model whose traffic has ended stays at it.", ("model",)
    )
    # drift
    DRIFT_WAITING = MetricSpec("driftline_drift_window_waiting", _GAUGE, "1 while a window's time is over and it waits for its fewest rows.", ("model",))
    DRIFT_WINDOWS = MetricSpec("driftline_drift_windows_total", _COUNTER, "Windows tested against the baseline.", ("model",))
    DRIFT_EVIDENCE = MetricSpec("driftline_drift_evidence_ratio", _GAUGE, "Evidence of drift relative to what the budget asks for; 1 is the line.", ("model",))
    DRIFT_FIRING = MetricSpec("driftline_drift_firing", _GAUGE, "1 while the model's drift alert fires.", ("model",))
    QUALITY = MetricSpec(
        "driftline_data_quality_findings", _GAUGE, "Features with which something is wrong in the last window, by what it is.", ("model", "problem")
    )
    FEATURE_EFFECT = MetricSpec("driftline_feature_effect", _GAUGE, "Effect size in the last window, by statistic.", ("model", "feature", "statistic"))
    FEATURE_SHARE = MetricSpec("driftline_feature_evidence_share_ratio", _GAUGE, "A feature's part of the model's evidence.", ("model", "feature"))
    BASELINE_ROWS = MetricSpec("driftline_baseline_rows", _GAUGE, "Rows in the baseline; while one is learned, rows so far.", ("model", "baseline_id"))
    SHADOW_PAIRS = MetricSpec(
        "driftline_shadow_pairs_total",
        _COUNTER,
        "Pairs of served and shadow replies, by what became of them.",
        ("route", "model", "arm", "outcome"),
    )
    SHADOW_UNPAIRED = MetricSpec(
        "driftline_shadow_unpaired_total", _COUNTER, "Shadows' replies beside which no served one came, or of which too many models were named."
    )
    SHADOW_WINDOWS = MetricSpec("driftline_shadow_windows_total", _COUNTER, "Windows of pairs tested.", ("route", "model", "arm"))
    SHADOW_EVIDENCE = MetricSpec(
        "driftline_shadow_evidence_ratio", _GAUGE, "Evidence that more answers differ than may, relative to what an alert needs.", ("route", "model", "arm")
    )
    SHADOW_FIRING = MetricSpec("driftline_shadow_firing", _GAUGE, "1 while the alert on the shadow's answers fires.", ("route", "model", "arm"))
    # payload loggers
    LOGGER_EVENTS = MetricSpec("driftline_logger_events_total", _COUNTER, "Events of payload loggers, by what became of them.", ("outcome",))
    LOGGER_EVENTS_WAITING = MetricSpec("driftline_logger_events_waiting", _GAUGE, "Events whose other half, request or reply, is being waited for.")
    # labels: received = duplicate + outdated + joined + unknown + unstored + waiting
    LABELS_RECEIVED = MetricSpec("driftline_labels_received_total", _COUNTER, "Labels accepted, by how they came.", ("source",))
    LABELS_REFUSED = MetricSpec("driftline_labels_refused_total", _COUNTER, "Lines that were no labels, and were told so.", ("source",))
    LABELS_DUPLICATE = MetricSpec("driftline_labels_duplicate_total", _COUNTER, "Labels that said again what held already.")
    LABELS_OUTDATED = MetricSpec("driftline_labels_outdated_total", _COUNTER, "Labels that contradicted a newer one, which went on to hold.")
    LABELS_CONTRADICTING = MetricSpec(
        "driftline_labels_contradicting_total", _COUNTER, "Labels that said something else than the one that held, newer or older."
    )
    LABELS_JOINED = MetricSpec("driftline_labels_joined_total", _COUNTER, "Labels whose exchange was found.", ("model", "timing"))
    LABELS_UNKNOWN = MetricSpec("driftline_labels_unknown_total", _COUNTER, "Labels whose exchange was waited for in vain.")
    LABELS_UNSTORED = MetricSpec("driftline_labels_unstored", _GAUGE, "Accepted labels that are not in the store yet.")
    LABELS_WAITING = MetricSpec("driftline_labels_waiting", _GAUGE, "Stored labels whose exchange is being waited for.")
    LABELLED_ROWS = MetricSpec("driftline_labelled_rows_total", _COUNTER, "Predictions compared with their label.", ("model", "arm"))
    LABELLED_CORRECT = MetricSpec(
        "driftline_labelled_correct_total", _COUNTER, "Those of `driftline_labelled_rows_total` that said the same.", ("model", "arm")
    )
    LABELLED_ABSOLUTE_ERROR = MetricSpec(
        "driftline_labelled_absolute_error_total", _COUNTER, "Sum of their distances from the label, where both are numbers.", ("model", "arm")
    )
    RISK = MetricSpec("driftline_risk_ratio", _GAUGE, "Mean loss of the latest window of labelled rows; of classes, the error rate.", ("model",))
    RISK_BASELINE = MetricSpec("driftline_risk_baseline_ratio", _GAUGE, "The mean loss that a model's is compared with.", ("model",))
    RISK_BASELINE_ROWS = MetricSpec("driftline_risk_baseline_rows", _GAUGE, "Labelled rows in that baseline; while it is learned, rows so far.", ("model",))
    RISK_ROWS = MetricSpec("driftline_risk_rows_total", _COUNTER, "Labelled rows that entered a window.", ("model",))
    RISK_WINDOWS = MetricSpec("driftline_risk_windows_total", _COUNTER, "Windows of labelled rows tested against the baseline.", ("model",))
    RISK_EVIDENCE = MetricSpec(
        "driftline_risk_evidence_ratio", _GAUGE, "Evidence of a risen risk relative to what the budget asks for; 1 is the line.", ("model",)
    )
    RISK_FIRING = MetricSpec("driftline_risk_firing", _GAUGE, "1 while the alert on the model's risk fires.", ("model",))
    RISK_SKIPPED = MetricSpec(
        "driftline_risk_skipped_total", _COUNTER, "Labelled rows that no window took: more waited than `labels.max_waiting`, or of more than 200 models."
    )
    ALERTS = MetricSpec("driftline_alerts_total", _COUNTER, "Alerts that began to fire.", ("alert", "severity"))
    NOTIFICATIONS = MetricSpec("driftline_notifications_total", _COUNTER, "Notifications sent.", ("notifier",))
    NOTIFICATION_FAILURES = MetricSpec("driftline_notification_failures_total", _COUNTER, "Notifications given up.", ("notifier",))
    SPANS = MetricSpec("driftline_spans_total", _COUNTER, "Spans made of exchanges that were sampled.")
    SPANS_EXPORTED = MetricSpec("driftline_spans_exported_total", _COUNTER, "Those that the collector took.")
    SPANS_FAILED = MetricSpec("driftline_spans_failed_total", _COUNTER, "Those that it did not take; what is in neither count waits, or found the queue full.")
    # the runtime
    RUNTIME_REQUESTS = MetricSpec("driftline_runtime_requests_total", _COUNTER, "Inference requests taken for a version, whatever became of them.", _MODEL)
    RUNTIME_ERRORS = MetricSpec("driftline_runtime_request_errors_total", _COUNTER, "Those that were not answered with outputs.", (*_MODEL, "reason"))
    RUNTIME_ROWS = MetricSpec("driftline_runtime_rows_total", _COUNTER, "Rows computed; a request that is computed alone counts as one.", _MODEL)
    RUNTIME_BATCHES = MetricSpec("driftline_runtime_batches_total", _COUNTER, "Runs of the model: rows divided by this is the mean batch.", _MODEL)
    RUNTIME_QUEUE_DURATION = MetricSpec("driftline_runtime_queue_duration_seconds", _HISTOGRAM, "How long requests waited to be computed.", _MODEL)
    RUNTIME_COMPUTE_DURATION = MetricSpec("driftline_runtime_compute_duration_seconds", _HISTOGRAM, "How long each run of the model took.", _MODEL)
    RUNTIME_WAITING = MetricSpec("driftline_runtime_requests_waiting", _GAUGE, "Requests that wait to be computed.", _MODEL)
    RUNTIME_INSTANCES = MetricSpec("driftline_runtime_instances", _GAUGE, "Instances of a version: how many of its batches may be computed at a time.", _MODEL)
    RUNTIME_QUEUE_DELAY = MetricSpec(
        "driftline_runtime_queue_delay_ratio", _GAUGE, "How long requests waited lately, relative to `instances.queue_delay`: above 1 it wants more.", _MODEL
    )
    RUNTIME_DEVICE_MEMORY = MetricSpec(
        "driftline_runtime_device_memory_bytes",
        _GAUGE,
        "Memory on the CUDA device that loading a version and its first runs took, and whatever others took meanwhile; absent on the CPU.",
        _MODEL,
    )
    RUNTIME_LOAD_FAILURES = MetricSpec(
        "driftline_runtime_load_failures_total", _COUNTER, "Times that a version was found and not taken into service.", ("model",)
    )
    # the injector
    INJECTOR_REVIEWS = MetricSpec("driftline_injector_reviews_total", _COUNTER, "Pods that the API server asked about, by what became of them.", ("outcome",))
    # about ourselves
    CERTIFICATE_EXPIRY = MetricSpec(
        "driftline_certificate_expiry_timestamp_seconds", _GAUGE, "When a certificate that the settings name ends; the first of a file to do so.", ("file",)
    )
    UP = MetricSpec("driftline_up", _GAUGE, "1 while the component runs.", ("component",))
    BUILD_INFO = MetricSpec("driftline_build_info", _GAUGE, "Always 1; the version is in the labels.", ("version", "python"))
    ADMIN_REFUSED = MetricSpec(
        "driftline_admin_refused_total", _COUNTER, "Requests at the admin address that were refused for who sent them, by the reply's status.", ("code",)
    )
    PROCESS_CPU = MetricSpec("process_cpu_seconds_total", _COUNTER, "User and system CPU time that a process has used.", _PROCESS)
    PROCESS_MEMORY = MetricSpec("process_resident_memory_bytes", _GAUGE, "Its memory that is in RAM, shared pages included.", _PROCESS)
    PROCESS_DESCRIPTORS = MetricSpec("process_open_fds", _GAUGE, "Its open file descriptors.", _PROCESS)
    PROCESS_DESCRIPTORS_LIMIT = MetricSpec("process_max_fds", _GAUGE, "As many as it may have.", _PROCESS)
    PROCESS_START = MetricSpec("process_start_time_seconds", _GAUGE, "When it began.", _PROCESS)
    SCRAPE_DURATION = MetricSpec("driftline_scrape_duration_seconds", _GAUGE, "Time that the previous scrape took to render.")

    @property
    def metric_name(self) -> str:
        """The exported name."""
        return self.value.name


class DropReason(StrEnum):
    """Why a record was lost: the values of the label `reason` of `driftline_exchanges_dropped_total`."""

    SPOOL_FULL = "spool_full"  # the spool's bound was reached
    DISK_FULL = "disk_full"  # the disk was full, or had less free than the spool must leave
    EXPIRED = "expired"  # waited for the store longer than records may
    TOO_LARGE = "too_large"  # larger than a segment
    CORRUPT = "corrupt"  # damaged or missing on the disk
    SPOOL_ERROR = "spool_error"  # the spool could not be written
    POISON = "poison"  # the store refused this row


class NotCaptured(StrEnum):
    """Why no record was made of an exchange."""

    OFF = "off"  # its route's exchanges are not kept
    SAMPLED = "sampled"  # it is not in its route's sample


class BodyNotKept(StrEnum):
    """Why the rules of redaction could not see into a body."""

    TRUNCATED = "truncated"  # longer than what is captured
    ENCODED = "encoded"  # compressed
    UNREADABLE = "unreadable"  # neither JSON nor a form, or not as its format asks
    TOO_MANY_SUBJECTS = "too_many_subjects"  # whose data it is could not all be kept, so that forgetting would not find them


class DamageKind(StrEnum):
    """What was found where the spool could not be read."""

    CORRUPT = "corrupt"  # bytes that are no frame, or not the one that must come next
    MISSING = "missing"  # records that were appended and are nowhere
    TORN = "torn"  # a last frame that a kill cut short; nobody saw that exchange answered


class SkipReason(StrEnum):
    """Why a request that was due for a shadow was not sent there, or not wholly."""

    UPGRADE = "upgrade"  # it asked for another protocol, and a WebSocket has one other side
    BUSY = "busy"  # the shadow has as many requests in flight as it may
    CIRCUIT_OPEN = "circuit_open"  # it failed lately and is left alone for a while
    TOO_SLOW = "too_slow"  # it took requests slower than they came, until more waited for it than may
    FAILED = "failed"  # it could not be reached, or failed, before it had the whole request
    ANSWERED_EARLY = "answered_early"  # its reply was whole before the request was
    INCOMPLETE = "incomplete"  # the served request was never whole, or the worker stopped


class EjectionReason(StrEnum):
    """Why an endpoint was left out for a while."""

    FAILURES = "failures"  # too many in a row
    LATENCY = "latency"  # much slower than its siblings


class EventOutcome(StrEnum):
    """What became of an event: the values of the label `outcome` of `driftline_logger_events_total`."""

    JOINED = "joined"  # with its other half
    ALONE = "alone"  # the other half did not come in time, or there was no room to wait for it
    DUPLICATE = "duplicate"  # the same had come before
    REFUSED = "refused"  # not an event of a payload logger


class RuntimeErrorReason(StrEnum):
    """Why the runtime did not answer a request with outputs."""

    BUSY = "busy"  # as many wait as may, or it could not be answered within the p99 target
    TIMEOUT = "timeout"  # it waited or computed for longer than it may
    INVALID = "invalid"  # NaN where the model takes none
    MODEL = "model"  # the model failed on it
    GONE = "gone"  # the client went away before
