"""`driftline demo`: the product on real input in a minute, as a user would run it. Needs the extra `[demo]`.

In the order of the story:

- `measurements` real rows (breast-cancer data), how they are resampled, and how an instrument goes wrong
- `models`       the model that is served and its challenger, trained and written as ONNX
- `service`      a plain inference service in a process of its own; it knows nothing of Driftline
- `plan`         how many requests, how fast, in windows of how many rows: from the duration and the machine's speed
- `workspace`    where a run keeps everything
- `processes`    child processes with a log file each, and their orderly end
- `traffic`      several clients that replay rows through the proxy, and some of them also straight to the service
- `webhook`      where alerts arrive
- `watch`        what the admin API and `driftline sql` say
- `report`       the checks that decide the exit code, the JSON file and the story in five lines
- `screen`       the live table, or plain lines
- `start`        starts all of these
- `run`          joins them, for `main` (the command) and `picture` (the one in the README)
"""
