"""Records of exchanges as OpenTelemetry's spans. Made after the fact, in the monitor, so that tracing costs a request nothing.

- `sampling`  which exchanges are worth a trace
- `spans`     an exchange as spans: what was served, the upstream's part in it, each shadow
- `exemplars` for each bucket of durations, a trace that shows such a one
- `export`    spans to a collector, over OTLP, with the OpenTelemetry SDK
"""
