"""What a user sees: a live table on a terminal, or plain lines anywhere else, then the story."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from driftline.demo.measurements import DRIFTED, SCALE
from driftline.demo.report import readable
from driftline.demo.traffic import CLIENTS, Latency
from driftline.demo.webhook import Received
from records.status import AgreementStatus, Counts

WIDTH: Final = 118
_GAP: Final = 2
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_SHOWN_WINDOWS: Final = 50
_PLAIN_LINES: Final = 12
_REFRESHES_PER_SECOND: Final = 8


class Snapshot(NamedTuple):
    """The run at one moment."""

    elapsed_seconds: float
    requests: int
    """Sent so far."""
    planned: int
    failed: int
    drift_began: bool
    latency_added: Latency | None
    counts: Counts
    agreement: AgreementStatus | None
    evidence: Sequence[float]
    """Of the windows so far, as far as they were seen."""
    threshold: float
    """The evidence at which the budget allows an alert; 0 before the first window."""
    alerts: Sequence[Received]


class Screen(Protocol):
    """Where the run is shown, as long as the `with` block lasts."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """End, leaving the last state in sight."""
        ...

    def step(self, text: str) -> None:
        """Say what is being prepared."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show how far the run is."""
        ...


class LiveScreen:
    """A table that changes in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=_REFRESHES_PER_SECOND)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._live.stop()

    def step(self, text: str) -> None:
        """Show one quiet line."""
        self._live.update(Text(f"  {text} …", style="dim"))

    def show(self, snapshot: Snapshot) -> None:
        """Redraw the table."""
        self._live.update(render(snapshot))


class PlainScreen:
    """A line per step, and about a dozen for the traffic, whatever its length."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        pass

    def step(self, text: str) -> None:
        """Print the step."""
        self._print(text)

    def show(self, snapshot: Snapshot) -> None:
        """Print the snapshot if it is a twelfth of the way further than the one before."""
        due = snapshot.requests * _PLAIN_LINES // snapshot.planned
        if due > self._shown:
            self._shown = due
            self._print(plain_line(snapshot))

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def plain_line(snapshot: Snapshot) -> str:
    """Return the snapshot in one line."""
    parts = [
        f"{snapshot.elapsed_seconds:.0f} s",
        f"{snapshot.requests:,} of {snapshot.planned:,} requests",
        f"{snapshot.failed} failed",
        f"latency added {_latency(snapshot.latency_added)}",
        snapshot.counts.identity,
        f"shadow {_agreement(snapshot.agreement)}",
        f"evidence {_evidence(snapshot)}",
    ]
    return ", ".join(parts) + (" [drifted]" if snapshot.drift_began else "")


def render(snapshot: Snapshot) -> RenderableType:
    """Return the live table."""
    return Panel(
        Group(_progress(snapshot), Text(), _table(snapshot)),
        title="[bold]driftline demo[/]",
        subtitle=f"[dim]{CLIENTS} clients ▸ driftline ▸ a model in ONNX Runtime · mirrored to a challenger[/]",
        border_style="cyan",
        padding=(1, 2),
        width=WIDTH,
    )


def print_story(console: Console, story: Sequence[tuple[str, str]], *, succeeded: bool) -> None:
    """Print the five lines of the story under each other; a command in the last can be copied, however narrow the terminal is."""
    style = "bold green" if succeeded else "bold red"
    table = Table.grid(padding=(0, _GAP))
    table.add_column(style=style, no_wrap=True)
    table.add_column()
    for heading, text in story[:-1]:
        table.add_row(heading, Text(text))
    console.print(Padding(table, (1, 0, 0, 0)))
    heading, command = story[-1]
    width = max(len(heading) for heading, _ in story) + _GAP
    console.print(Text.assemble((f"{heading:{width}}", style), command), soft_wrap=True)


def _progress(snapshot: Snapshot) -> RenderableType:
    drifting = snapshot.drift_began
    share = snapshot.requests / snapshot.planned
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    bar = ProgressBar(total=1.0, completed=share, complete_style="yellow" if drifting else "cyan", finished_style="green")
    line.add_row(bar, f"{share:4.0%}  {_clock(snapshot.elapsed_seconds)}")
    return Group(line, Text(_phase(drifting=drifting), style="yellow" if drifting else "dim"))


def _phase(*, drifting: bool) -> str:
    return f"an instrument reads {' and '.join(DRIFTED)} {SCALE - 1:.0%} too high" if drifting else "traffic from the baseline's own population"


def _table(snapshot: Snapshot) -> RenderableType:
    table = Table.grid(padding=(0, 3))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    failed_style = "red" if snapshot.failed else "green"
    table.add_row("Requests", Text.assemble(f"{snapshot.requests:,} of {snapshot.planned:,} · ", (f"{snapshot.failed:,} failed", failed_style)))
    table.add_row("Latency added", Text.assemble(_latency(snapshot.latency_added), ("  against the same requests sent directly", "dim")))
    table.add_row("Counts", Text(snapshot.counts.identity, style="green" if snapshot.counts.conserved else "red"))
    table.add_row("Shadow", _agreement(snapshot.agreement))
    table.add_row("Evidence", _evidence(snapshot))
    table.add_row(Text("by window", style="dim"), _spark(snapshot))
    table.add_row("Alerts", _alerts(snapshot.alerts))
    return table


def _latency(latency: Latency | None) -> str:
    return f"p50 {latency.p50_ms:+.2f} ms · p99 {latency.p99_ms:+.2f} ms" if latency else "—"


def _agreement(agreement: AgreementStatus | None) -> str:
    ratio = agreement.agreement_ratio if agreement else None
    return f"agrees in {ratio:.1%} of {agreement.compared:,} answers" if agreement and ratio is not None else "—"


def _evidence(snapshot: Snapshot) -> str:
    if not snapshot.evidence:
        return "—"
    return f"{readable(snapshot.evidence[-1])}; an alert needs {readable(snapshot.threshold)}"


def _spark(snapshot: Snapshot) -> Text:
    """Draw a block per window: its height is the evidence on a logarithmic scale, full at the threshold, red past it."""
    text = Text()
    for evidence in snapshot.evidence[-_SHOWN_WINDOWS:]:
        height = math.log1p(evidence) / math.log1p(snapshot.threshold)
        block = _BLOCKS[min(int(height * len(_BLOCKS)), len(_BLOCKS) - 1)]
        text.append(block, style="bold red" if evidence >= snapshot.threshold else "yellow" if height > 0.5 else "cyan")
    return text


def _alerts(alerts: Sequence[Received]) -> Text:
    if not alerts:
        return Text("none", style="dim")
    return Text("\n").join(Text(f"{alert.name}: {', '.join(alert.features)}", style="bold red") for alert in alerts[-3:])


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
