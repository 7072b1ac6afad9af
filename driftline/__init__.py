"""The command line, and the one place where the rooms are joined.

- `cli`                the command line; one module per command in `commands`
- `topology`           which parts there are, and who gets what: start reading here
- `commands`           one module per command
- `children`           what a child process and its supervisor say to each other
- `worker`             the process of one proxy worker
- `monitor`            the process of the watching side
- `supervisor`         starts the processes, restarts what dies, stops them in order
- `metrics_reference`  prints docs/metrics.md
- `demo`               the product on real input
"""
