"""The durable log between the data plane and the watching side (docs/decisions/0001-spool.md).

Written by the data plane, with nothing but msgspec and zlib-ng beside the standard library:

- `format`   segments and frames, byte by byte
- `encoding` records as MessagePack, without copying their bodies
- `ledger`   named counters in mapped memory that survive their process
- `writer`   appends records, small ones without a system call
- `preparer` makes the writer's segments before they are needed, out of old files where it can
- `cipher`   encryption, as writers and readers see it
- `encryption` what does it, loaded only where it is wanted
- `sync`     writes what was appended through to the disk

Read by the watching side:

- `reader`   frames of all writers, in turns
- `tail`     frames of one writer in order, past damage, to the end
- `salvage`  where good frames go on in damaged bytes
- `cursor`   how far a consumer has come with a writer
- `state`    what a consumer has done, replaced atomically
- `evict`    gives up the oldest where the spool is beyond its bounds
- `evictions` which records were given up, and why
- `retire`   deletes what every consumer has passed
- `totals`   what a writer's life added up to, and those that are gone
- `counts`   captured = stored + dropped + pending
- `listing`  which writers and segments there are
"""
