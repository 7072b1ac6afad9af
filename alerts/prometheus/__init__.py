"""The same judgement by Prometheus and Alertmanager: files for them, made from the settings.

- `rule`      one alerting or recording rule
- `slo`       error budgets and how fast they burn
- `symptoms`  everything else that somebody should know of
- `subject`   whom an alert is about: its route, and the team that answers for it
- `rules`     all of them as a file of rules
- `routes`    who is told of which, as Alertmanager's configuration
"""
