"""The command line, and the one place where the rooms are joined.

- `topology`           which processes there are, and what each gets: start reading here
- `supervisor`         starts the processes, restarts what dies, stops them in order
- `children`           what a child process and its supervisor say to each other
- `worker`             the process of one proxy worker
- `monitor`            the process of the watching side
- `monitor_task`       what a supervisor hands to it
- `watching`           the detectors' way through the spool
- `model_watch`        one model under watch
- `naming`             which model an exchange was for
- `archive`            what was made of the traffic goes to the store
- `views`              what the operator's surface shows
- `store_access`       questions to the store from a command
- `stored_columns`     stored traffic as columns
- `cli`                the command line; `__main__` runs it as a module
- `commands`           one module per command
- `demo`               the product on real input
- `metrics_reference`  prints docs/metrics.md
"""
