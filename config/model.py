"""The settings of one version of a model, in the file `model.yaml` beside it."""

from __future__ import annotations

from typing import Annotated

from config.declare import Section, setting
from config.units import Seconds, Share


class BatchingSettings(Section, frozen=True):
    """How requests that wait together are computed together. An idle model never waits for more of them, unless `max_wait` says so."""

    max_rows: Annotated[int, setting("Rows that are computed at once at most; 1 computes each request by itself.", unit="rows", at_least="1")] = 64
    p99_target: Annotated[
        Seconds | None,
        setting("Keep batches so small that a request is answered within this time, by what batches have taken so far.", example="20ms", at_least="1ms"),
    ] = None
    max_wait: Annotated[Seconds, setting("How long a request may wait for as many others as came together lately.", at_most="1s")] = Seconds(0)
    pad: Annotated[
        bool, setting("Whether requests of different lengths are computed together, the shorter ones padded with zeros, outputs cut to their lengths.")
    ] = False


class InstanceSettings(Section, frozen=True):
    """How many copies of the model compute at a time."""

    minimum: Annotated[int, setting("As many there always are.", unit="instances", at_least="1", at_most="64")] = 1
    maximum: Annotated[int, setting("As many there are where requests wait for longer than `queue_delay`.", unit="instances", at_least="1", at_most="64")] = 1
    queue_delay: Annotated[Seconds, setting("One more instance where requests waited for longer than this; one less where they waited for much less.")] = (
        Seconds(0.05)
    )
    threads: Annotated[
        int, setting("Threads of each instance; 0 shares the machine's cores among the instances.", unit="threads", at_least="0", at_most="256")
    ] = 0


class ModelSettings(Section, frozen=True):
    """What `model.yaml` may say."""

    labels: Annotated[tuple[str, ...], setting("Names for this version; where several have the same, it means the newest of them.", example="stable")] = ()
    outputs: Annotated[tuple[str, ...], setting("The outputs to compute, in the order in which they are given; by default all.", example="probabilities")] = ()
    samples: Annotated[
        str, setting("Recorded requests and replies, which the version must reproduce before it serves.", unit="file", example="samples.json")
    ] = ""
    tolerance: Annotated[Share, setting("How far an output may lie from the recorded one, as a share of the recorded one or of 1, whichever is larger.")] = (
        Share(0.001)
    )
    missing_values: Annotated[bool, setting("Whether NaN is a value for this model; else requests with it are refused.")] = False
    timeout: Annotated[Seconds, setting("How long a request may take (504); one that computes for longer is stopped.", at_least="1ms")] = Seconds(30)
    max_waiting: Annotated[int, setting("Requests that may wait; further ones are answered 503.", unit="requests", at_least="1")] = 1024
    batching: Annotated[BatchingSettings, setting("What is computed together.")] = BatchingSettings()
    instances: Annotated[InstanceSettings, setting("What computes at a time.")] = InstanceSettings()
