"""One version of a model in service: what waits for it, its instances, and what became of each request.

A batch that takes less than `INLINE_SECONDS`, by what batches have taken so far, is computed on the event loop: handing it to a thread and back
would cost more than computing it. Any other one goes to an instance, which is a thread; so no model makes the others wait for longer than that.

What computes for longer than it may is stopped: on the event loop by the watch, and then computed again in a thread; in threads by `sweep`. An
instance whose model does not heed that is given up and replaced, as often as the model may have instances; then the version is out of service.

A batch that fails is computed again request by request, so that one request's fault is not its neighbours'.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from records.metrics import Metric, RuntimeErrorReason
from runtime.batching import BatchQueue, Later
from runtime.crowd import Crowd
from runtime.inference import Inference, Outcome
from runtime.instance import Instance, Run
from runtime.open_inference import ReplyForm, RequestForm
from runtime.refusal import Refused
from runtime.repository import Version
from runtime.scaling import Scaling
from runtime.session import Array, ModelError, Stop
from runtime.signature import FLOATS
from runtime.stacking import array_of, batch_key, results, stack
from runtime.tally import Tally
from runtime.verification import Verified
from runtime.watch import Watch

_log = logging.getLogger(__name__)

INLINE_SECONDS: Final = 0.0005
_STUCK_NS: Final = 5_000_000_000
"""How long an instance may go on after it was stopped."""

_HALF: Final = "e"
"""NumPy's character for FP16, whose squares overflow."""

_GONE: Final = Refused(499, "the client has gone")
"""Never sent; 499 is what nginx logs for it."""


class Lane:
    """Serves one loaded version. Everything but the runs themselves happens on the event loop."""

    def __init__(self, version: Version, verified: Verified, watch: Watch, crowd: Crowd) -> None:
        settings, session, latency = version.settings, verified.session, verified.latency
        self.version = version
        self.number = str(version.number)
        self.signature = session.signature
        self.device = session.device
        self.missing_values = settings.missing_values
        self.requests = RequestForm(session.signature, missing=settings.missing_values)
        self.replies = ReplyForm(session.signature, version.model, self.number)
        self.fault = ""
        """Why it is out of service; empty while it is not."""
        self.tally = Tally()
        self._session = session
        self._latency = latency
        self._watch = watch
        self._crowd = crowd
        self._stackable = verified.stackable
        self._device_bytes = verified.device_bytes
        self._pad = settings.batching.pad
        self._max_waiting = settings.max_waiting
        self._on_loop = True
        self._stop = Stop()
        self._loop = asyncio.get_running_loop()
        self._queue = BatchQueue(settings.batching, latency)
        self._scaling = Scaling(settings.instances)
        self._instances: list[Instance] = []
        self._given_up = 0
        self._wanted = settings.instances.minimum
        self._scheduled = False
        self._flushing = False
        """What comes while replies are handed out, as from a client that does not wait for them, has its turn later: else each would be answered within the one before."""
        self._alarm: asyncio.TimerHandle | None = None
        self._longest_wait_ns = 0
        self._busy_seconds = 0.0
        self._timeout_ns = int(settings.timeout * 1e9)
        self._floats = [position for position, spec in enumerate(self.signature.inputs) if spec.datatype in FLOATS and not settings.missing_values]

    def submit(self, inference: Inference) -> None:
        """Let a request wait for its turn; its `answer` is called when it has been computed, or not. Raises Refused where it may not wait."""
        queue = self._queue
        self.tally.requests += 1
        if self.fault:
            self.tally.errors[RuntimeErrorReason.MODEL] += 1
            raise Refused(503, f"version {self.number} of {self.version.model} is out of service: {self.fault}", 10)
        if queue.requests >= self._max_waiting or queue.would_be_late(self._wanted):
            self.tally.errors[RuntimeErrorReason.BUSY] += 1
            raise Refused(503, f"{queue.requests} requests wait for {self.version.model} already", max(1, math.ceil(queue.wait_seconds(self._wanted))))
        now_ns = time.perf_counter_ns()
        inference.arrived_ns = now_ns
        inference.deadline_ns = now_ns + (min(inference.timeout_ns, self._timeout_ns) or self._timeout_ns)
        if self._stackable:
            inference.key = batch_key(inference.shapes, self.signature, pad=self._pad)
            inference.rows = inference.shapes[0][0] if inference.key is not None else 1
        queue.put(inference)
        if self._crowd.waiting >= self._crowd.connected and not self._flushing:
            self._flush()  # nobody is left who could send another one
        else:
            self._schedule()  # not at once: what arrives in the same round of the event loop is computed together

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is computed."""
        return not self._queue.requests and all(instance.run is None for instance in self._instances)

    def sweep(self, now_ns: int) -> None:
        """Answer what is too late, and stop what computes for too long. `now_ns` is `time.perf_counter_ns`."""
        for item in self._queue.expire(now_ns):
            self._refuse(item, _too_late(item, now_ns), RuntimeErrorReason.TIMEOUT)
        for instance in tuple(self._instances):
            if instance.run is not None:
                self._sweep_run(instance, instance.run, now_ns)

    def scale(self, seconds: float) -> None:
        """Change the number of instances by what the last `seconds` were like."""
        waited_ns = max(self._longest_wait_ns, time.perf_counter_ns() - self._queue.oldest_ns() if self._queue.requests else 0)
        busy = self._busy_seconds / (seconds * max(1, self._wanted))
        self._longest_wait_ns, self._busy_seconds = 0, 0.0
        wanted = self._scaling.wanted(self._wanted, waited_ns / 1e9, busy)
        if wanted != self._wanted:
            _log.info("%s version %s: %d instances instead of %d", self.version.model, self.number, wanted, self._wanted)
            self._wanted = wanted
            self._schedule()

    def close(self) -> None:
        """Compute no more; to be called when it is idle, or when all that is left of it is given up."""
        for item in self._queue.expire(1 << 62):
            self._refuse(item, Refused(503, "the server is stopping", 1), RuntimeErrorReason.BUSY)
        for instance in self._instances:
            instance.close()
        self._instances.clear()
        if self._alarm is not None:
            self._alarm.cancel()

    def samples(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Return what is counted, as `runtime.tally.Samples` has it."""
        labels = (self.version.model, self.number)
        yield from self.tally.samples(labels)
        yield (Metric.RUNTIME_WAITING.metric_name, *labels), self._queue.requests
        yield (Metric.RUNTIME_INSTANCES.metric_name, *labels), self._wanted
        yield (Metric.RUNTIME_QUEUE_DELAY.metric_name, *labels), self._scaling.delay_ratio
        if self._device_bytes is not None:
            yield (Metric.RUNTIME_DEVICE_MEMORY.metric_name, *labels), self._device_bytes

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        self._flushing = True
        try:
            self._compute_what_waits()
        finally:
            self._flushing = False

    def _compute_what_waits(self) -> None:
        """Compute as far as there are instances: on the event loop one batch at a time, so that other models have their turn."""
        queue = self._queue
        while queue.requests:
            inline = self._on_loop and self._latency.mean(min(queue.rows, queue.batch_rows)) <= INLINE_SECONDS
            instance = None if inline else self._free_instance()
            if not inline and instance is None:
                return
            now_ns = time.perf_counter_ns()
            batch = queue.take(now_ns)
            if batch is None:
                return
            if isinstance(batch, Later):
                self._wake_at(batch.at_ns - now_ns)
                return
            waiting = self._those_who_wait(batch)
            if waiting:
                self._compute(waiting, instance, now_ns)
            if inline and queue.requests:
                self._schedule()
                return

    def _compute(self, batch: list[Inference], instance: Instance | None, now_ns: int) -> None:
        arrays = stack(batch, self.signature)
        for position in self._floats:
            if _has_nan(arrays[position]):
                batch = [item for item in batch if not self._has_nan(item)]
                arrays = stack(batch, self.signature) if batch else []
                break
        if not batch:
            return
        rows = 0
        for item in batch:
            waited_ns = now_ns - item.arrived_ns
            self.tally.queue.add(waited_ns)
            self._longest_wait_ns = max(self._longest_wait_ns, waited_ns)
            rows += item.rows
        if instance is not None:
            instance.start(Run(batch, arrays, rows, now_ns))
        else:
            self._compute_here(batch, arrays, rows, now_ns)

    def _compute_here(self, batch: Sequence[Inference], arrays: list[Array], rows: int, now_ns: int) -> None:
        self._watch.begin(self._stop, now_ns)
        try:
            outputs = self._session.run(arrays, self._stop)
        except ModelError as error:
            self._watch.end()
            if self._stop.given:
                self._stop = Stop()
                self._on_loop = False
                _log.warning("%s version %s took too long for the event loop, and is computed in threads from now on", self.version.model, self.number)
                self._put_back(batch, alone=False)
            else:
                self._failed(batch, error)
            return
        self._watch.end()
        self._finished(batch, outputs, rows, time.perf_counter_ns() - now_ns)

    def _on_finished(self, instance: Instance, run: Run, outcome: list[Array] | ModelError, seconds: float) -> None:
        """Called when a thread has computed a batch."""
        if instance not in self._instances:
            instance.close()  # it was given up, and has ended after all
            return
        if isinstance(outcome, ModelError):
            self._failed(run.batch, outcome)
        else:
            self._finished(run.batch, outcome, run.rows, int(seconds * 1e9))
        if len(self._instances) > self._wanted:
            self._instances.remove(instance)
            instance.close()
        self._schedule()

    def _finished(self, batch: Sequence[Inference], outputs: list[Array], rows: int, took_ns: int) -> None:
        if len(batch) > 1 and not _have_rows(outputs, rows):
            self._stackable = False
            _log.warning("%s version %s: %d rows gave other numbers of rows; requests are computed one by one", self.version.model, self.number, rows)
            self._put_back(batch, alone=True)
            return
        tally = self.tally
        tally.batches += 1
        tally.rows += rows
        tally.compute.add(took_ns)
        self._busy_seconds += took_ns / 1e9
        self._latency.observe(rows, took_ns / 1e9)
        shares = results(batch, outputs, self.signature, padded=self._pad)
        for number in range(len(batch)):
            self._answer(batch[number], shares[number])

    def _failed(self, batch: Sequence[Inference], error: ModelError) -> None:
        waiting = self._those_who_wait(batch)
        if len(batch) > 1:
            self._put_back(waiting, alone=True)
        elif waiting:
            self._refuse(waiting[0], Refused(500, f"the model failed on this request: {error}"), RuntimeErrorReason.MODEL)

    def _those_who_wait(self, batch: Sequence[Inference]) -> list[Inference]:
        """Leave out what nobody waits for any more, and count it."""
        for item in batch:
            if item.abandoned:
                self._answer(item, _GONE)
        return [item for item in batch if not item.abandoned]

    def _put_back(self, batch: Sequence[Inference], *, alone: bool) -> None:
        for item in batch:
            if alone:
                item.key, item.rows = None, 1
            self._queue.put(item)
        self._schedule()

    def _free_instance(self) -> Instance | None:
        for instance in self._instances:
            if instance.run is None:
                return instance
        if len(self._instances) < self._wanted and not self.fault:
            self._instances.append(Instance(self._session, f"{self.version.model}-{self.number}", self._on_finished))
            return self._instances[-1]
        return None

    def _sweep_run(self, instance: Instance, run: Run, now_ns: int) -> None:
        for item in run.batch:
            if not item.abandoned and item.deadline_ns <= now_ns:
                self._refuse(item, _too_late(item, now_ns), RuntimeErrorReason.TIMEOUT)
        if not all(item.abandoned for item in run.batch):
            return
        if not run.stopped_ns:
            run.stop.now()  # nobody waits for it any more
            run.stopped_ns = now_ns
        elif now_ns - run.stopped_ns > _STUCK_NS:
            self._give_up(instance)

    def _give_up(self, instance: Instance) -> None:
        self._instances.remove(instance)
        self._given_up += 1
        _log.error("%s version %s hangs: an instance does not stop and is given up", self.version.model, self.number)
        if self._given_up > self.version.settings.instances.maximum:
            self.fault = f"{self._given_up} of its instances hang"
            _log.error("%s version %s is out of service: %s", self.version.model, self.number, self.fault)
            for item in self._queue.expire(1 << 62):
                self._refuse(item, Refused(503, f"the version is out of service: {self.fault}", 10), RuntimeErrorReason.MODEL)
        self._schedule()

    def _wake_at(self, in_ns: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(in_ns / 1e9, self._flush)

    def _has_nan(self, item: Inference) -> bool:
        """Refuse a request with NaN; return whether it was one."""
        for position in self._floats:
            spec = self.signature.inputs[position]
            values = array_of(item.contents[position], item.shapes[position], spec)
            if np.isnan(values).any():
                where = [int(index) for index in np.argwhere(np.isnan(values))[0]]
                text = f"input {spec.name}: expected numbers, found NaN at {where}; a model that takes missing values says so in its model.yaml, missing_values: true"
                self._refuse(item, Refused(400, text), RuntimeErrorReason.INVALID)
                return True
        return False

    def _refuse(self, item: Inference, refused: Refused, reason: RuntimeErrorReason) -> None:
        if not item.abandoned:
            self.tally.errors[reason] += 1
        self._answer(item, refused)

    def _answer(self, item: Inference, outcome: Outcome) -> None:
        """Answer a request, or count that nobody waits for it any more; once."""
        if item.answered:
            return
        item.answered = True
        if item.abandoned:
            self.tally.errors[RuntimeErrorReason.GONE] += 1
        else:
            item.abandoned = True
            item.asker.answered(outcome)


def _have_rows(outputs: list[Array], rows: int) -> bool:
    return all(output.ndim > 0 and len(output) == rows for output in outputs)


def _has_nan(array: Array) -> bool:
    """Whether a NaN is among the values. Squares cannot cancel each other out, so that their sum is NaN only where one of them is."""
    flat = array.reshape(-1)
    return bool(np.isnan(flat).any()) if flat.dtype.char == _HALF else math.isnan(flat.dot(flat))


def _too_late(item: Inference, now_ns: int) -> Refused:
    return Refused(504, f"the request was not computed within {(now_ns - item.arrived_ns) / 1e9:.3g} s")
