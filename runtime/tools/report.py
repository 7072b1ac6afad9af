"""A comparison as text."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.tools.comparison import Comparison


def as_text(comparison: Comparison) -> str:
    """Return a table: original, candidate and the ratio of the two."""
    lines = [f"{'':<36}{'original':>14}{'candidate':>14}{'ratio':>8}", *_costs(comparison), *_outputs(comparison)]
    return "\n".join(lines) + f"\ncompared on {comparison.rows:,} rows: {comparison.rows_from}\n"


def _costs(comparison: Comparison) -> Iterator[str]:
    before, after = comparison.original, comparison.candidate
    yield _line("size, KB", before.size_bytes / 1e3, after.size_bytes / 1e3)
    yield _line("size compressed, KB", before.compressed_bytes / 1e3, after.compressed_bytes / 1e3)
    yield _line("time to load, ms", before.load_seconds * 1e3, after.load_seconds * 1e3)
    for rows, seconds in before.latency_seconds.items():
        yield _line(f"time of {rows:,} {'row' if rows == 1 else 'rows'}, µs", seconds * 1e6, after.latency_seconds[rows] * 1e6)
    if comparison.original_metric and comparison.candidate_metric:
        yield f"{comparison.original_metric.name:<36}{comparison.original_metric.value:>14.4f}{comparison.candidate_metric.value:>14.4f}"


def _outputs(comparison: Comparison) -> Iterator[str]:
    if comparison.agreement_ratio is not None:
        yield f"rows that keep their class: {comparison.agreement_ratio:.2%}"
    for name, difference in comparison.largest_difference_ratio.items():
        yield f"largest difference of {name!r}: {difference:.3g} of its largest magnitude"


def _line(what: str, before: float, after: float) -> str:
    return f"{what:<36}{before:>14,.1f}{after:>14,.1f}{after / before:>8.2f}"
