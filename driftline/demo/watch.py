"""What Driftline says about itself while it runs (the admin API) and what it kept (`driftline sql`)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import msgspec

from driftline.demo.processes import DRIFTLINE, DemoError
from driftline.demo.workspace import DATA
from records.status import AgreementStatus, ConsumerStatus, Counts, ModelStatus
from records.verdict import DriftState

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class Observation(NamedTuple):
    """The monitor at one moment."""

    counts: Counts
    lag_records: int
    """What the slower of the spool's consumers has yet to read."""
    agreement: AgreementStatus | None
    """Of the only shadow; None before the first pair."""
    model: ModelStatus | None
    """The only model; None before its first row."""


class Window(msgspec.Struct, frozen=True):
    """The verdict on one window, as far as the story tells it."""

    index: int
    rows: int
    state: DriftState
    alert: bool
    evidence: float
    threshold: float


class _Pairs(msgspec.Struct, frozen=True):
    route: str
    arm: str
    model: str
    compared: int
    agreed: int


class _Status(msgspec.Struct, frozen=True):
    counts: Counts
    consumers: tuple[ConsumerStatus, ...]
    agreement: tuple[_Pairs, ...]


class _Models(msgspec.Struct, frozen=True):
    models: tuple[ModelStatus, ...]


class _Windows(msgspec.Struct, frozen=True):
    windows: tuple[Window, ...]


class _Stored(msgspec.Struct, frozen=True):
    role: str
    rows: int
    requests: int


class _Answered(msgspec.Struct, frozen=True):
    inference_count: int


class _Stats(msgspec.Struct, frozen=True):
    model_stats: tuple[_Answered, ...]


class Watch:
    """A client of the admin API, open as long as its session is."""

    def __init__(self, session: aiohttp.ClientSession, admin_url: str) -> None:
        self._session = session
        self._admin_url = admin_url

    async def look(self) -> Observation:
        """Return the counts, the agreement and the model as they are now."""
        status = msgspec.json.decode(await self._get(f"{self._admin_url}/api/v1/status"), type=_Status)
        models = msgspec.json.decode(await self._get(f"{self._admin_url}/api/v1/models"), type=_Models).models
        lag_records = max((consumer.lag_records for consumer in status.consumers), default=0)
        agreement = next((AgreementStatus(**msgspec.structs.asdict(pairs)) for pairs in status.agreement), None)
        return Observation(status.counts, lag_records, agreement, next(iter(models), None))

    async def windows(self, model: str, limit: int) -> list[Window]:
        """Return the verdicts on the latest windows, oldest first."""
        body = await self._get(f"{self._admin_url}/api/v1/models/{model}/windows?limit={limit}")
        return sorted(msgspec.json.decode(body, type=_Windows).windows, key=lambda window: window.index)

    async def answered_rows(self, stats_url: str) -> int:
        """Return how many rows an inference service has answered, by its own count."""
        return msgspec.json.decode(await self._get(stats_url), type=_Stats).model_stats[0].inference_count

    async def _get(self, url: str) -> bytes:
        try:
            async with self._session.get(url, timeout=_TIMEOUT, raise_for_status=True) as response:
                return await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoError(f"{url} does not answer: {type(error).__name__} {error}") from None


class StoredRows(NamedTuple):
    """What lies in the table `exchanges`, by role."""

    served: int
    served_requests: int
    """Different request ids among the served rows."""
    shadow: int


async def count_stored(directory: Path) -> StoredRows:
    """Ask the store in the run's directory, after everything has stopped, with the command that a user would use."""
    query = "SELECT role, count() AS rows, uniqExact(request_id) AS requests FROM exchanges GROUP BY role"
    command = [DRIFTLINE, "sql", "--data-dir", DATA, "--format", "JSONEachRow", query]
    process = await asyncio.create_subprocess_exec(*command, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    output, errors = await process.communicate()
    if process.returncode:
        raise DemoError(f"driftline sql ended with exit code {process.returncode}: {errors.decode().strip()}")
    by_role = {row.role: row for row in msgspec.json.Decoder(_Stored, strict=False).decode_lines(output)}
    served, shadow = by_role.get("served", _Stored("served", 0, 0)), by_role.get("shadow", _Stored("shadow", 0, 0))
    return StoredRows(served.rows, served.requests, shadow.rows)
