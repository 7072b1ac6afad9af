"""Who somebody is, by what they show, and how often they may ask. The data plane and the operator's surface use it through `records.ports`.

- `keys`           API keys: made once, kept as hashes in a file
- `tokens`         JSON Web Tokens of an issuer
- `jwks`           the issuer's keys, fetched and changed
- `authenticator`  who shows which key, token or certificate
- `buckets`        how often each of many may ask
- `gate`           both, for the data plane
"""
