"""The command line, and the one place where the rooms are joined.

- `topology`           which processes there are, and what each gets: start reading here
- `supervisor`         starts the processes, replaces them by a new generation, stops them in order
- `keeping`            keeps one process running
- `process`            one process as its supervisor sees it
- `handover`           what a supervisor leaves to its successor in an upgrade
- `listening`          the socket that clients connect to
- `children`           what a child process and its supervisor say to each other
- `worker`             the process of one proxy worker
- `worker_task`        what a supervisor hands to it
- `monitor`            the process of the watching side
- `monitor_task`       what a supervisor hands to it
- `check`              looks whether a monitor could work by new settings
- `watching`           the detectors' way through the spool
- `model_watch`        one model under watch
- `labelling`          the way of a label, to the predictions that it is about
- `label_import`       labels from a file, through the monitor that holds the store or without one
- `naming`             which model an exchange was for
- `archive`            what was made of the traffic goes to the store
- `views`              what the operator's surface shows
- `store_access`       questions to the store from a command
- `stored_exchanges`   stored traffic, exchange by exchange
- `stored_columns`     stored traffic as columns
- `cli`                the command line; `__main__` runs it as a module
- `tools`              the tools of `driftline runtime`
- `commands`           one module per command
- `demo`               the product on real input
- `metrics_reference`  prints docs/metrics.md
"""
