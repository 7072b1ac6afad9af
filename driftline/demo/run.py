"""One run from beginning to end: start everything, send traffic, look, stop everything, count again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from driftline.demo.processes import DemoError
from driftline.demo.report import Result
from driftline.demo.screen import Screen, Snapshot
from driftline.demo.start import MODEL, Parts, start
from driftline.demo.watch import Observation, count_stored

_LOOK_SECONDS: Final = 0.25
_SETTLE_SECONDS: Final = 30.0
"""How long the watching side may take to store and judge what came last."""
_WINDOWS: Final = 500


async def run_demo(directory: Path, duration_seconds: float, screen: Screen) -> Result:
    """Run the demo in an empty directory; raise DemoError where a part of it does not start, or ends early."""
    async with AsyncExitStack() as stack:
        run = _Run(await start(stack, directory, duration_seconds, screen), screen)
        await run.send()
        await run.settle()
        return await run.finish()


class _Run:
    """The time from the first request to the last count."""

    def __init__(self, parts: Parts, screen: Screen) -> None:
        self._parts = parts
        self._screen = screen
        self._began_at_seconds = time.time()
        self._evidence: dict[int, float] = {}
        """By the number of windows so far."""

    async def send(self) -> None:
        """Send the traffic, and show how it goes."""
        traffic = self._parts.traffic
        patience_seconds = 3 * traffic.plan.duration_seconds
        sending = asyncio.create_task(traffic.run())
        try:
            async with asyncio.timeout(patience_seconds):
                while not sending.done():
                    await asyncio.wait([sending], timeout=_LOOK_SECONDS)
                    await self._look()
                await sending
        except TimeoutError:
            raise DemoError(f"this machine is too slow now: {traffic.sent:,} of {traffic.plan.requests:,} requests in {patience_seconds:.0f} s") from None
        finally:
            sending.cancel()

    async def settle(self) -> None:
        """Give the watching side time to store and judge everything; what it does not manage shows in the checks."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while not self._settled(await self._look(), await self._challenger_answered()):  # noqa: ASYNC110 - other processes are waited for
                    await asyncio.sleep(_LOOK_SECONDS)

    async def finish(self) -> Result:
        """Stop Driftline, and compare what it said with what the clients, the services and the store say."""
        parts = self._parts
        seen = await self._look()
        windows = await parts.watch.windows(MODEL, _WINDOWS)
        challenger_answered = await self._challenger_answered()
        exit_code = await parts.driftline.stop()
        traffic = parts.traffic
        assert traffic.drift_began_at_seconds is not None, "all traffic has been sent"
        return Result(
            plan=traffic.plan,
            sent=traffic.sent,
            failed=traffic.failed,
            failures=tuple(traffic.failures),
            latency_added=traffic.latency_added,
            began_at_seconds=self._began_at_seconds,
            drift_began_at_seconds=traffic.drift_began_at_seconds,
            counts=seen.counts,
            stored=await count_stored(parts.directory),
            challenger_answered=challenger_answered,
            agreement=seen.agreement,
            windows=tuple(windows),
            alerts=tuple(parts.webhook.firing),
            exit_code=exit_code,
            directory=parts.directory,
        )

    async def _look(self) -> Observation:
        """Ask Driftline how it is, and show it."""
        self._parts.driftline.check()
        seen = await self._parts.watch.look()
        if seen.model and seen.model.windows:
            self._evidence[seen.model.windows] = seen.model.evidence
        self._screen.show(self._snapshot(seen))
        return seen

    def _snapshot(self, seen: Observation) -> Snapshot:
        traffic = self._parts.traffic
        return Snapshot(
            elapsed_seconds=time.time() - self._began_at_seconds,
            requests=traffic.sent,
            planned=traffic.plan.requests,
            failed=traffic.failed,
            drift_began=traffic.drift_began_at_seconds is not None,
            latency_added=traffic.latency_added,
            counts=seen.counts,
            agreement=seen.agreement,
            evidence=tuple(self._evidence.values()),
            threshold=seen.model.threshold if seen.model else 0.0,
            alerts=self._parts.webhook.firing,
        )

    def _settled(self, seen: Observation, challenger_answered: int) -> bool:
        captured = self._parts.traffic.sent + challenger_answered
        return seen.counts.stored == captured and not seen.lag_records and bool(self._parts.webhook.firing)

    async def _challenger_answered(self) -> int:
        return await self._parts.watch.answered_rows(self._parts.challenger_stats_url)
