"""What travels between the rooms of the house: plain, frozen values and the ports through which rooms meet.

Standard library and msgspec only, so that the hot path may import any of it.

- `exchange`   one request and its reply by one arm: the record that everything else is derived from
- `outcome`    what became known about an exchange only after its record was written
- `label`      what turned out to be true of a prediction
- `receipt`    what became of what a caller sent
- `payload`    named tensors decoded from a body, or the reason why there are none
- `baseline`   what a model's traffic is compared with
- `window`     summaries of a window of rows, which merge by addition
- `verdict`    what the detectors say about a window
- `comparison` what a shadow answered beside what was served
- `explanation` why a verdict is what it is
- `alert`      what people are told
- `status`     what the operator's surface shows
- `access`     who somebody is, and what they may do
- `audit`      who read or changed what
- `forgetting` what is to be deleted, and what was
- `acceptance` which traffic is accepted as a baseline, and what was made of it
- `changes`    one period of traffic against the one before
- `metrics`    every metric name, its labels, its unit and its help text, once
- `ids`        identifiers that sort by time
- `times`      times as text
- `ports`      the protocols by which siblings use each other without importing each other
"""
