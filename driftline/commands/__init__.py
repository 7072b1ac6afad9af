"""One module per command of `driftline`: `HELP`, `configure(parser)` and `run(arguments)`, which returns the exit status.

A module is imported when its command is given, so that `driftline proxy` never loads what only `driftline backtest` needs.
"""
