"""What of an exchange is kept: between the data plane, which makes records, and the spool, which writes them to disk.

Nothing that the settings name reaches the disk as it was. Where a rule cannot see into a body, the body is not kept.
In the worker: standard library and msgspec only.

- `tap`      a `records.ports.Tap` before the spool's: which exchanges are kept, and what of them
- `policy`   what one route's settings ask for
- `bodies`   JSON, tensors and forms, taken apart, changed and written anew
- `paths`    JSON paths over bodies, of which only what lies on a path is decoded
- `tensors`  tensors of Open Inference V2 by their name, in JSON and in the binary extension
- `pairs`    parameters of a query and fields of a form
- `changes`  drop, mask and hash
- `keys`     the keys to hash with
"""
