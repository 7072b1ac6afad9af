"""The tables, as changes from one version of the store to the next.

Every row of `exchanges` and `outcomes` carries its position in the spool (writer, sequence): that is how the loader knows after a crash what
is there already. The other tables hold results that may be written twice; their sorting key is what makes two writes the same,
ReplacingMergeTree drops the older one, and whoever reads them says FINAL.

Durations that were not reached are NULL, not −1, so that averages and quantiles are right without a WHERE.
"""

from __future__ import annotations

from typing import Final

from store.clickhouse.ddl import AddColumns, AlterStorage, Change, Create, ModifyColumn

# Partitions are days of what happened, so that a period is dropped as whole files. Models come first in the sorting key because every
# drift question is about one model in a period; an exchange is found by its ids through the bloom filters. The index on the position
# serves the one question that the loader asks after a crash.
_EXCHANGES = Create(
    "exchanges",
    shard_by="cityHash64(exchange_id)",
    columns="""
(
    writer LowCardinality(String),
    sequence UInt64 CODEC(Delta, ZSTD(1)),
    exchange_id UUID,
    request_id String CODEC(ZSTD(1)),
    role LowCardinality(String),
    route LowCardinality(String),
    arm LowCardinality(String),
    model LowCardinality(String),
    version LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    queue_ns Nullable(Int64) CODEC(ZSTD(1)),
    connect_ns Nullable(Int64) CODEC(ZSTD(1)),
    first_byte_ns Nullable(Int64) CODEC(ZSTD(1)),
    total_ns Nullable(Int64) CODEC(ZSTD(1)),
    method LowCardinality(String),
    path String CODEC(ZSTD(1)),
    status UInt16 CODEC(ZSTD(1)),
    error LowCardinality(String),
    client String CODEC(ZSTD(1)),
    principal String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    sampling_rate Float64 CODEC(ZSTD(1)),
    request_body String CODEC(ZSTD(1)),
    request_size_bytes UInt64 CODEC(ZSTD(1)),
    request_truncated Bool,
    request_content_type LowCardinality(String),
    request_content_encoding LowCardinality(String),
    request_fields Map(LowCardinality(String), String),
    response_body String CODEC(ZSTD(1)),
    response_size_bytes UInt64 CODEC(ZSTD(1)),
    response_truncated Bool,
    response_content_type LowCardinality(String),
    response_content_encoding LowCardinality(String),
    response_fields Map(LowCardinality(String), String),
    INDEX position (writer, sequence) TYPE minmax GRANULARITY 1,
    INDEX exchange_id exchange_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX request_id request_id TYPE bloom_filter(0.01) GRANULARITY 1
)
""",
    engine="MergeTree",
    rest="""
PARTITION BY toDate(started_at)
ORDER BY (model, started_at, writer, sequence)
SETTINGS non_replicated_deduplication_window = 100
""",
)

_OUTCOMES = Create(
    "outcomes",
    shard_by="cityHash64(exchange_id)",
    columns="""
(
    writer LowCardinality(String),
    sequence UInt64 CODEC(Delta, ZSTD(1)),
    exchange_id UUID,
    error LowCardinality(String),
    total_ns Nullable(Int64) CODEC(ZSTD(1)),
    received_bytes UInt64 CODEC(ZSTD(1)),
    sent_bytes UInt64 CODEC(ZSTD(1))
)
""",
    engine="MergeTree",
    rest="""
ORDER BY (writer, sequence)
SETTINGS non_replicated_deduplication_window = 100
""",
)

_DEAD_LETTERS = Create(
    "dead_letters",
    shard_by="cityHash64(writer, sequence)",
    columns="""
(
    writer LowCardinality(String),
    sequence UInt64,
    kind LowCardinality(String),
    payload String CODEC(ZSTD(1)),
    reason String,
    set_aside_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
""",
    engine="ReplacingMergeTree",
    rest="""
ORDER BY (writer, sequence, kind)
""",
)

_WINDOWS = Create(
    "windows",
    shard_by="cityHash64(model, version, baseline_id)",
    columns="""
(
    model LowCardinality(String),
    version LowCardinality(String),
    baseline_id LowCardinality(String),
    window_index UInt64,
    opened_at DateTime64(9, 'UTC'),
    closed_at DateTime64(9, 'UTC'),
    rows UInt64,
    features Map(LowCardinality(String), Tuple(
        type LowCardinality(String),
        counts Array(UInt64),
        missing UInt64,
        non_finite UInt64,
        total Float64,
        total_squares Float64,
        minimum Nullable(Float64),
        maximum Nullable(Float64),
        unseen UInt64,
        new_values Map(String, UInt64))) CODEC(ZSTD(1))
)
""",
    engine="ReplacingMergeTree",
    rest="""
ORDER BY (model, version, baseline_id, window_index)
""",
)

_VERDICTS = Create(
    "verdicts",
    shard_by="cityHash64(model, version, baseline_id)",
    columns="""
(
    model LowCardinality(String),
    version LowCardinality(String),
    baseline_id LowCardinality(String),
    window_index UInt64,
    opened_at DateTime64(9, 'UTC'),
    closed_at DateTime64(9, 'UTC'),
    rows UInt64,
    state LowCardinality(String),
    alert Bool,
    resolved Bool,
    evidence Float64,
    threshold Float64,
    features Array(Tuple(
        feature LowCardinality(String),
        tests Map(LowCardinality(String), Tuple(statistic Float64, p_value Float64, effect Float64)),
        log_evidence Float64,
        share Float64,
        effect_above_floor Bool,
        summary String)) CODEC(ZSTD(1))
)
""",
    engine="ReplacingMergeTree",
    rest="""
ORDER BY (model, version, baseline_id, window_index)
""",
)

_ALERTS = Create(
    "alerts",
    shard_by="cityHash64(name)",
    columns="""
(
    name LowCardinality(String),
    severity LowCardinality(String),
    state LowCardinality(String),
    labels Map(LowCardinality(String), String),
    summary String,
    description String,
    features Array(String),
    started_at DateTime64(9, 'UTC'),
    fired_at Nullable(DateTime64(9, 'UTC')),
    resolved_at Nullable(DateTime64(9, 'UTC')),
    runbook_url String,
    console_url String,
    identity UInt64 MATERIALIZED cityHash64(name, toString(mapSort(labels)))
)
""",
    engine="ReplacingMergeTree",
    rest="""
ORDER BY (started_at, identity, state)
""",
)

_BASELINES = Create(
    "baselines",
    shard_by="cityHash64(model, version, baseline_id)",
    columns="""
(
    model LowCardinality(String),
    version LowCardinality(String),
    baseline_id LowCardinality(String),
    source String,
    rows UInt64,
    created_at DateTime64(9, 'UTC'),
    format UInt32,
    features String CODEC(ZSTD(1)) COMMENT 'JSON, as in the file that `driftline baseline` writes'
)
""",
    engine="ReplacingMergeTree",
    rest="""
ORDER BY (model, version, baseline_id)
""",
)

SCHEMA_VERSION: Final = Create(
    "schema_version",
    shard_by="version",
    columns="""
(
    version UInt32,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
""",
    engine="MergeTree",
    rest="""
ORDER BY version
""",
)

_CHUNK_TIMES = AddColumns("exchanges", ("response_chunk_ends Array(UInt64) CODEC(Delta, ZSTD(1))", "response_chunk_ns Array(Int64) CODEC(Delta, ZSTD(1))"))

# What turned out to be true, about one row of an exchange that is named by one of three ids; the other two are empty (a UUID: all zeros). All labels are kept, so
# that contradicting ones can be told; the latest `labelled_at` holds. Months of our own clock make the partitions: `labelled_at` is a stranger's.
_LABELS = Create(
    "labels",
    shard_by="cityHash64(exchange_id, request_id, key)",
    columns="""
(
    exchange_id UUID,
    request_id String CODEC(ZSTD(1)),
    key String CODEC(ZSTD(1)),
    row UInt32 CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    label_number Nullable(Float64) MATERIALIZED toFloat64OrNull(label) CODEC(ZSTD(1)),
    labelled_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') DEFAULT now64(9) CODEC(Delta, ZSTD(1)),
    source LowCardinality(String)
)
""",
    engine="ReplacingMergeTree",
    rest="""
PARTITION BY toYYYYMM(received_at)
ORDER BY (exchange_id, request_id, key, row, labelled_at, label)
""",
)

# A label and each arm's prediction for that row of the exchange, joined once both are here; the latest `labelled_at` holds.
_LABELLED = Create(
    "labelled",
    shard_by="cityHash64(exchange_id)",
    columns="""
(
    model LowCardinality(String),
    version LowCardinality(String),
    arm LowCardinality(String),
    role LowCardinality(String),
    exchange_id UUID,
    request_id String CODEC(ZSTD(1)),
    started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    row UInt32 CODEC(ZSTD(1)),
    prediction Nullable(String) CODEC(ZSTD(1)),
    prediction_number Nullable(Float64) MATERIALIZED toFloat64OrNull(prediction) CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    label_number Nullable(Float64) MATERIALIZED toFloat64OrNull(label) CODEC(ZSTD(1)),
    correct Bool,
    absolute_error Nullable(Float64) CODEC(ZSTD(1)),
    labelled_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    source LowCardinality(String)
)
""",
    engine="ReplacingMergeTree(labelled_at)",
    rest="""
PARTITION BY toYYYYMM(started_at)
ORDER BY (model, started_at, exchange_id, row, arm)
""",
)

# The caller's own name of an exchange, by which labels may find it.
_LABEL_KEY = (
    AddColumns("exchanges", ("label_key String CODEC(ZSTD(1))",)),
    AlterStorage("exchanges", ("ADD INDEX IF NOT EXISTS label_key label_key TYPE bloom_filter(0.01) GRANULARITY 1",)),
)

# Who read or changed what. The same entry written twice is one.
_AUDIT = Create(
    "audit",
    shard_by="cityHash64(at)",
    columns="""
(
    at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    who LowCardinality(String),
    action LowCardinality(String),
    what String CODEC(ZSTD(1))
)
""",
    engine="ReplacingMergeTree",
    rest="""
PARTITION BY toYYYYMM(at)
ORDER BY (at, who, action, what)
""",
)

# Whose data an exchange is, and what became of its bodies before they were kept.
_PRIVACY = (
    AddColumns(
        "exchanges",
        (
            "request_redaction LowCardinality(String)",
            "response_redaction LowCardinality(String)",
            "subjects Array(String) CODEC(ZSTD(1))",
        ),
    ),
    AlterStorage("exchanges", ("ADD INDEX IF NOT EXISTS subjects subjects TYPE bloom_filter(0.01) GRANULARITY 1",)),
)

# What the model was asked and what it said, decoded: a row is a row of a tensor, columns of replies begin with `output.`. Maps, because each model has columns of
# its own, and Float32, because the bodies are exact; docs/store.md has what other layouts cost. Only served exchanges: the same row written twice is one.
_FEATURES = Create(
    "features",
    shard_by="cityHash64(exchange_id)",
    columns="""
(
    model LowCardinality(String),
    version LowCardinality(String),
    exchange_id UUID,
    row UInt32 CODEC(ZSTD(1)),
    started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    numbers Map(LowCardinality(String), Float32) CODEC(ZSTD(1)),
    texts Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    INDEX exchange_id exchange_id TYPE bloom_filter(0.01) GRANULARITY 1
)
""",
    engine="ReplacingMergeTree",
    rest="""
PARTITION BY toDate(started_at)
ORDER BY (model, started_at, exchange_id, row)
""",
)

# So that outcomes can expire: they have no time of their own.
_STORED_AT = AddColumns("outcomes", ("stored_at DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))",))

# Another `store.keep` is no reason to write every part anew at once: what expires is dropped by the next merges.
_RECALCULATE_ONLY = tuple(
    AlterStorage(table, ("MODIFY SETTING materialize_ttl_recalculate_only = 1",))
    for table in ("exchanges", "outcomes", "features", "labels", "labelled", "dead_letters")
)

# What goes with what among the numeric features of a window.
_PAIRS = AddColumns("windows", ("pairs Tuple(sums Array(Int64), products Array(Int64)) CODEC(ZSTD(1))",))

# Which baseline a verdict is against, in words.
_COMPARED_WITH = AddColumns("verdicts", ("compared_with String CODEC(ZSTD(1))",))

# Verdicts on data drift and on risk, each kind with windows of its own.
_KIND = AddColumns("verdicts", ("kind LowCardinality(String) DEFAULT 'data_drift'",))

# Values of another type and out of range, and rows that came late.
_FEATURES_OF_WINDOWS = ModifyColumn(
    "windows",
    """features Map(LowCardinality(String), Tuple(
        type LowCardinality(String),
        counts Array(UInt64),
        missing UInt64,
        non_finite UInt64,
        total Float64,
        total_squares Float64,
        minimum Nullable(Float64),
        maximum Nullable(Float64),
        unseen UInt64,
        new_values Map(String, UInt64),
        type_changes UInt64,
        out_of_range UInt64)) CODEC(ZSTD(1))""",
)
_LATE_ROWS = AddColumns("windows", ("late_rows UInt64",))

# Sums of random features of the vectors in a window, and those of a baseline.
_VECTORS = (
    AddColumns("windows", ("vectors Map(LowCardinality(String), Tuple(rows UInt64, sums Array(Int64))) CODEC(ZSTD(1))",)),
    AddColumns("baselines", ("vectors String CODEC(ZSTD(1))",)),
)

# What else a baseline's features are made of.
_TEXTS_AND_TIMES = AddColumns("baselines", ("texts String CODEC(ZSTD(1))", "times String CODEC(ZSTD(1))"))

# Where an alert is explained.
_REPORTS = AddColumns("alerts", ("report_url String", "picture_url String"))

# What shadows answered beside what was served, window by window.
_COMPARISONS = Create(
    "comparisons",
    shard_by="cityHash64(model, shadow)",
    columns="""
(
    model LowCardinality(String),
    version LowCardinality(String),
    shadow LowCardinality(String),
    window_index UInt64,
    opened_at DateTime64(9, 'UTC'),
    closed_at DateTime64(9, 'UTC'),
    outcomes Map(LowCardinality(String), UInt64),
    served_failed UInt64,
    shadow_failed UInt64,
    served_seconds Tuple(p50 Nullable(Float64), p99 Nullable(Float64)),
    shadow_seconds Tuple(p50 Nullable(Float64), p99 Nullable(Float64)),
    classes Array(Tuple(output String, served String, shadow String, rows UInt64)) CODEC(ZSTD(1)),
    scores Array(Tuple(
        output String,
        rows UInt64,
        served_mean Float64,
        shadow_mean Float64,
        wasserstein Float64,
        quantiles Array(Float64))) CODEC(ZSTD(1)),
    disagreements Array(Tuple(exchange_id String, difference Float64, text String)) CODEC(ZSTD(1))
)
""",
    engine="ReplacingMergeTree",
    rest="""
ORDER BY (model, shadow, window_index, opened_at)
""",
)
_SHADOW = AddColumns("verdicts", ("shadow LowCardinality(String)",))

# What is wrong with the data of a window.
_UNKNOWN_FEATURES = AddColumns("windows", ("unknown Map(String, UInt64) CODEC(ZSTD(1))",))
_DUPLICATES = AddColumns("windows", ("duplicates Tuple(smallest String) CODEC(NONE)",))
_QUALITY = AddColumns(
    "verdicts",
    ("quality Array(Tuple(feature LowCardinality(String), problem LowCardinality(String), rows UInt64, text String)) CODEC(ZSTD(1))",),
)

# A batch of labels names thousands of exchanges at once: at one false positive in a hundred every granule looked as if it held one of them. Each name costs two and a half bytes, where it cost one and a quarter.
_NAMES = (
    AlterStorage(
        "exchanges",
        (
            "DROP INDEX IF EXISTS request_id",
            "DROP INDEX IF EXISTS label_key",
            "ADD INDEX IF NOT EXISTS request_ids request_id TYPE bloom_filter(0.0001) GRANULARITY 1",
            "ADD INDEX IF NOT EXISTS label_keys label_key TYPE bloom_filter(0.0001) GRANULARITY 1",
        ),
    ),
    AlterStorage("exchanges", ("MATERIALIZE INDEX request_ids", "MATERIALIZE INDEX label_keys")),
)

# What one batch of the loader makes is one file, and not two for each of fifty columns; the merges that follow write columns apart.
_BATCHES_IN_ONE_FILE = AlterStorage("exchanges", ("MODIFY SETTING min_bytes_for_wide_part = 67108864",))

# What goes with what in a baseline, as JSON.
_PAIRS_OF_BASELINES = AddColumns("baselines", ("pairs String CODEC(ZSTD(1))",))

# Which levels of a baseline are watched by hash too.
_HASHED = AddColumns("baselines", ("hashed Array(String) CODEC(ZSTD(1))",))

MIGRATIONS: Final[tuple[tuple[Change, ...], ...]] = (
    (_EXCHANGES, _OUTCOMES, _DEAD_LETTERS, _WINDOWS, _VERDICTS, _ALERTS, _BASELINES),
    (_CHUNK_TIMES,),
    (_LABELS, _AUDIT),
    (_LABELLED, *_LABEL_KEY),
    (_FEATURES, _STORED_AT, *_RECALCULATE_ONLY),
    _PRIVACY,
    (_PAIRS,),
    (_COMPARED_WITH,),
    (_KIND,),
    (_FEATURES_OF_WINDOWS, _LATE_ROWS),
    _VECTORS,
    (_REPORTS,),
    (_UNKNOWN_FEATURES, _QUALITY),
    (_TEXTS_AND_TIMES,),
    (*_NAMES, _BATCHES_IN_ONE_FILE),
    (_PAIRS_OF_BASELINES,),
    (_DUPLICATES,),
    (_HASHED,),
    (_COMPARISONS, _SHADOW),
)
"""The n-th brings a store from version n to n + 1. A released one is never edited; each change can be made twice, because a crash may come between
it and the row that says that it was made."""

TABLES: Final = frozenset(change.table for changes in ((SCHEMA_VERSION,), *MIGRATIONS) for change in changes)
