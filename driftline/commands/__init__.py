"""One module per command of `driftline`: `configure(parser)` and `run(arguments)`, which returns the exit status.

A module is imported when its command is given, so that `driftline proxy` never loads what only `driftline backtest` needs.

- `up`        proxy and monitor under one supervisor
- `proxy`     the data plane alone
- `monitor`   the watching side alone
- `runtime`   ONNX models in a directory, served; and tools for them
- `baseline`  a baseline from a table or from the store
- `accept`    a model's traffic since a time becomes its baseline
- `backtest`  the detectors over a table; `backtest_null` in shuffled order
- `demo`      the product on real input, in a minute
- `keys`      make, list and revoke API keys
- `config`    check a configuration file
- `alerts`    files of rules and routes for Prometheus and Alertmanager; a test of who is told
- `inject`    Driftline in the pods of manifests, as YAML
- `injector`  the admission webhook
- `labels`    what turned out to be true of predictions, from a table
- `export`    stored traffic as a Parquet file
- `replay`    stored traffic, sent to a service
- `reprocess`  the detectors over a stored period
- `forget`    delete everything about an exchange, a request or a subject
- `sql`       one query over the store
"""
