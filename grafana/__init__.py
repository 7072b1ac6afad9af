"""Dashboards as code: `python -m grafana.generate` writes `dashboards/*.json`, which Grafana reads.

One module per dashboard, from far to near:

- `overview`    every model and route of every Driftline
- `model`       one model: its service, its drift, how often it is right
- `feature`     one feature: baseline against now
- `shadow`      shadows beside what is served, and how new versions do
- `data_plane`  connections, endpoints, errors, budgets
- `watching`    the watching itself: counts, spool, store, cost
- `llm`         language models: time to the first token, tokens, cost

And what they are made of:

- `panels`      panels and dashboards by Driftline's conventions
- `clickhouse`  a query to ClickHouse, as its plugin for Grafana reads it
- `generate`    the command
"""
