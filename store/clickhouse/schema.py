"""The tables, and how an older store is brought forward.

Every row of `exchanges` and `outcomes` carries its position in the spool (writer, sequence): that is how the loader knows after a crash what
is there already. The other tables hold results that may be written twice; their sorting key is what makes two writes the same,
ReplacingMergeTree drops the older one, and whoever reads them says FINAL.

Durations that were not reached are NULL, not −1, so that averages and quantiles are right without a WHERE.
"""

from __future__ import annotations

from typing import Final

from clickhouse_connect.driver.client import Client

TABLES: Final = frozenset(
    {"exchanges", "outcomes", "dead_letters", "windows", "verdicts", "alerts", "baselines", "labels", "labelled", "audit", "schema_version"}
)

# Partitions are days of what happened, so that a period is dropped as whole files. Models come first in the sorting key because every
# drift question is about one model in a period; an exchange is found by its ids through the bloom filters. The index on the position
# serves the one question that the loader asks after a crash.
_EXCHANGES = """
CREATE TABLE IF NOT EXISTS exchanges
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
ENGINE = MergeTree
PARTITION BY toDate(started_at)
ORDER BY (model, started_at, writer, sequence)
SETTINGS non_replicated_deduplication_window = 100
"""

_OUTCOMES = """
CREATE TABLE IF NOT EXISTS outcomes
(
    writer LowCardinality(String),
    sequence UInt64 CODEC(Delta, ZSTD(1)),
    exchange_id UUID,
    error LowCardinality(String),
    total_ns Nullable(Int64) CODEC(ZSTD(1)),
    received_bytes UInt64 CODEC(ZSTD(1)),
    sent_bytes UInt64 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (writer, sequence)
SETTINGS non_replicated_deduplication_window = 100
"""

_DEAD_LETTERS = """
CREATE TABLE IF NOT EXISTS dead_letters
(
    writer LowCardinality(String),
    sequence UInt64,
    kind LowCardinality(String),
    payload String CODEC(ZSTD(1)),
    reason String,
    set_aside_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (writer, sequence, kind)
"""

_WINDOWS = """
CREATE TABLE IF NOT EXISTS windows
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
ENGINE = ReplacingMergeTree
ORDER BY (model, version, baseline_id, window_index)
"""

_VERDICTS = """
CREATE TABLE IF NOT EXISTS verdicts
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
ENGINE = ReplacingMergeTree
ORDER BY (model, version, baseline_id, window_index)
"""

_ALERTS = """
CREATE TABLE IF NOT EXISTS alerts
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
ENGINE = ReplacingMergeTree
ORDER BY (started_at, identity, state)
"""

_BASELINES = """
CREATE TABLE IF NOT EXISTS baselines
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
ENGINE = ReplacingMergeTree
ORDER BY (model, version, baseline_id)
"""

_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_version
(
    version UInt32,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY version
"""

_CHUNK_TIMES = """
ALTER TABLE exchanges
    ADD COLUMN IF NOT EXISTS response_chunk_ends Array(UInt64) CODEC(Delta, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS response_chunk_ns Array(Int64) CODEC(Delta, ZSTD(1))
"""

# What turned out to be true, about one row of an exchange that is named by one of three ids; the other two are empty (a UUID: all zeros). All labels are kept, so
# that contradicting ones can be told; the latest `labelled_at` holds. Months of our own clock make the partitions: `labelled_at` is a stranger's.
_LABELS = """
CREATE TABLE IF NOT EXISTS labels
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
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (exchange_id, request_id, key, row, labelled_at, label)
"""

# A label and each arm's prediction for that row of the exchange, joined once both are here; the latest `labelled_at` holds.
_LABELLED = """
CREATE TABLE IF NOT EXISTS labelled
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
ENGINE = ReplacingMergeTree(labelled_at)
PARTITION BY toYYYYMM(started_at)
ORDER BY (model, started_at, exchange_id, row, arm)
"""

# The caller's own name of an exchange, by which labels may find it.
_LABEL_KEY = """
ALTER TABLE exchanges
    ADD COLUMN IF NOT EXISTS label_key String CODEC(ZSTD(1)),
    ADD INDEX IF NOT EXISTS label_key label_key TYPE bloom_filter(0.01) GRANULARITY 1
"""

# Who read or changed what. The same entry written twice is one.
_AUDIT = """
CREATE TABLE IF NOT EXISTS audit
(
    at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    who LowCardinality(String),
    action LowCardinality(String),
    what String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, who, action, what)
"""

# Migration n brings a store from version n to n + 1. A released one is never edited; each statement can run twice, because a
# crash may come between it and the row that says that it ran.
_MIGRATIONS: Final = (
    (_EXCHANGES, _OUTCOMES, _DEAD_LETTERS, _WINDOWS, _VERDICTS, _ALERTS, _BASELINES),
    (_CHUNK_TIMES,),
    (_LABELS, _AUDIT),
    (_LABELLED, _LABEL_KEY),
)

VERSION: Final = len(_MIGRATIONS)


class NewerStoreError(Exception):
    """The store was written by a newer Driftline than this one."""


def migrate(client: Client) -> None:
    """Bring the client's database to `VERSION`. Raises `NewerStoreError` where it is past that."""
    client.command(_VERSIONS)
    found = int(str(client.command("SELECT max(version) FROM schema_version")))
    if found > VERSION:
        raise NewerStoreError(f"The store has version {found} of the schema and this Driftline knows up to {VERSION}: use the newer Driftline that wrote it.")
    for version, statements in enumerate(_MIGRATIONS[found:], start=found + 1):
        for statement in statements:
            client.command(statement)
        client.insert("schema_version", [[version]], column_names=["version"])
