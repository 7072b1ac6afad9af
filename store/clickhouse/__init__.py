"""ClickHouse, embedded (chDB) or a server, through one client.

In the order in which an exchange gets there:

- `ddl`        changes of the schema as statements, for one server or for a cluster
- `schema`     the tables, as changes from one version of the store to the next
- `migrate`    brings an older store forward
- `retention`  how long rows are kept
- `client`     opens the store: one owner for the embedded one, settings that are never left to a server's defaults
- `columns`    exchanges and outcomes as Arrow, the form in which they are inserted
- `inserter`   stores a batch once, whatever died before, and sets refused rows aside
- `batch`      frames read and decoded, to be stored together
- `loader`     from the spool to the tables: batches, waiting, the loader's state
- `rows`       windows, verdicts, alerts and baselines as JSON, and back
- `features`   decoded rows as Arrow
- `results`    writes windows, verdicts, alerts and baselines
- `labels`     labels, and beside them the predictions that they are about
- `forgetting` deletes everything about an exchange, a request or a subject
- `queries`    what the console and `driftline baseline` ask
- `explaining` what an explanation of a verdict asks
- `readonly`   a user's own SQL, which can read these tables and do nothing else
"""
