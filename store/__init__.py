"""Where records are kept: first on the disk beside the proxy, then in ClickHouse.

- `spool`        the durable log that the data plane appends to and the watching side reads
- `clickhouse`   tables, the loader that fills them from the spool, and queries
- `model_counts` requests, errors and durations of each model, counted as they are stored
- `audit`        who read or changed what
- `directories`  who may look into them
- `owner`        one process at a time: for the embedded engine, and for the spool's consumers
"""
