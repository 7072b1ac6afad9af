"""The operator's surface of the monitor: health, metrics, a JSON API, and a socket for queries.

Everything is rendered from `records.ports.Views`, which driftline/topology.py implements; nothing here knows where it comes from.

- `api`             the JSON API, the health checks and the metrics page: one table of endpoints
- `explaining`      why a verdict is what it is
- `report`          that as a page for people
- `picture`         one of its features as SVG
- `documents`       records as the JSON API shows them
- `metrics`         the same views in Prometheus's exposition format
- `bodies`          labels and events that callers send
- `command_socket`  what commands ask, on a unix socket that only the owner of the data directory can open
- `forgetting`      what is to be deleted
- `accepting`       traffic that is accepted as a model's new baseline
- `guarding`        who may ask for what, and what browsers may do with it
- `audit`           puts on record who asks for what
- `replies`         JSON replies and errors, the same for every endpoint
- `threads`         a few threads that ask the store, so that a store that hangs leaves health and metrics alone
- `listening`       the sockets, and serving on them
"""
