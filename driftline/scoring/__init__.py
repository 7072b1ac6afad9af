"""`driftline runtime score`: a model's answers to many rows, as files, each row once whatever dies when.

- `score`      the command: source, session and parts together
- `job`        what a directory of parts holds the answers to
- `parts`      the files, written one after the other; how a part becomes one of them
- `columns`    a model's outputs as columns
- `recording`  the same answers in the spool, as if they had been served
- `requests`   rows and answers as requests and replies
"""
