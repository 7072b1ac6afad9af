"""Every setting, declared once with its type, unit, bounds, default and help.

- `settings`   the settings themselves; everything else is derived from them
- `model`      the settings of one version of a model, which lie beside it
- `units`      how quantities are written and printed: `64 KiB`, `10s`, `25%`, `1 per 30 days`
- `quantities` CPU and memory of containers: `100m`, `64Mi`
- `addresses`  how addresses are written and printed: `127.0.0.1:8080`, `http://host:port/prefix`
- `hosts`      which hosts are meant: `*.models.svc`, `10.0.0.0/8`
- `selection`  how requests are picked out: `X-Canary=yes`, `X-Session-Id`, `?session`
- `redaction`  what of an exchange is kept, and in which places: `$.customer.id`, `tensor:ssn`
- `secrets`    keys, and where they are kept: `2026-11=file:/etc/driftline/hash.key`
- `hours`      working hours: `mon-fri 09:00-17:00 Europe/Berlin`
- `files`      whether files that settings name have changed
- `choices`    settings that are one of a few words
- `declare`    the words in which settings are declared, and the declarations as values
- `document`   a YAML document to settings, with the line of every key and problem
- `rules`      what must hold between settings
- `load`       settings from a file with options over it, or one error that says everything that is wrong
- `options`    settings as command-line options
- `reference`  settings as the page docs/settings.md
"""
