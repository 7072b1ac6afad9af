"""Every setting, declared once with its type, unit, default and help.

- `settings`   the settings themselves; everything else is derived from them
- `units`      how quantities are written: `64 KiB`, `10s`, `25%`, `1 per 30 days`, `http://host:port`
- `load`       a YAML file to settings, with errors that say file, line, key, what was expected and an example
- `options`    settings as command-line options
- `reference`  settings as the table in docs/settings.md
"""
