"""Exchanges that come as events of payload loggers, instead of through the proxy.

- `cloudevents`  CloudEvents over HTTP: binary, structured and in batches
- `logged`       what KServe's and Seldon's loggers say in theirs
- `joining`      a request's event and its reply's to one exchange, within bounds
"""
