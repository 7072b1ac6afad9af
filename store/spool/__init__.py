"""The durable log between the data plane and the watching side (docs/decisions/0001-spool.md).

Written by the data plane, with the standard library and msgspec only:

- `format`   segments and frames, byte by byte
- `ledger`   named counters in mapped memory that survive their process
- `writer`   appends records without a system call

Read by the watching side:

- `reader`   frames in order, across writers, past damage
- `state`    what a consumer has done, replaced atomically
- `retire`   deletes what every consumer has passed
- `counts`   captured = stored + dropped + pending
"""
