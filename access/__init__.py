"""Who somebody is, by what they show, and how often they may ask. The data plane and the operator's surface use it through `records.ports`.

- `keys`           API keys: made once, kept as hashes in a file
- `authenticator`  who shows which key or certificate
- `buckets`        how often each of many may ask
- `gate`           both, for the data plane
"""
