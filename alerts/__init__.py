"""From what is observed to who is told. No clock, and no I/O but in the notifiers; all on one thread, the event loop's.

Follow one verdict:

- `catalogue`   every alert by name, with severity, waiting time and what makes two of them the same
- `observation` what the watches say: a condition holds, with the numbers, or it does not
- `drift`       verdicts on windows to observations; `shadow`, those on shadows
- `operation`   counts and the store's state to observations
- `book`        the state machine: pending, firing, resolved; each change once
- `desk`        joins these: verdicts and status reports in, notifications out
- `outbox`      the queue before each notifier: keeps trying, bounded, never in anyone's way
- `log`         notifies the log
- `receivers`   who is told of which alert, and when
- `text`        an alert as a short text
- `service`     notifies PagerDuty, Slack or a mailbox
- `opsgenie`    notifies Opsgenie
- `alertmanager` hands alerts to Alertmanagers
- `webhook`     notifies a URL, in the form of Alertmanager's webhook

And where Prometheus and Alertmanager judge and tell instead: `prometheus`, files for them.
"""
