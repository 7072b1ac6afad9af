"""A feature of an explained window as a small SVG: the baseline filled, the window as a line, or as bars where there are few values.

It needs nothing else: its styles are in it, for light and for dark screens. What it shows is told in its description as well, number by number, for those who
do not see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from textwrap import shorten, wrap
from typing import Final, NamedTuple
from xml.sax.saxutils import escape
from zlib import crc32

from records.explanation import Explanation, FeatureExplanation, Gain, Level, Missing, Numbers, OtherLevels, PairChange, Place, UnseenLevels
from records.times import format_time

_WIDTH: Final = 520
_MARGIN: Final = 16
_PLOT_HEIGHT: Final = 132
_ROW_HEIGHT: Final = 26
_LABEL_WIDTH: Final = 166
_NUMBERS_WIDTH: Final = 108
_LINE_CHARACTERS: Final = 84
_LABEL_CHARACTERS: Final = 24
_TICKS: Final = 5
_FEWEST_COLUMNS: Final = 4
_NARROWEST: Final = 1e-3
"""Of the whole width."""
_TAIL: Final = 4.0  # an open end is drawn at most so many times as wide as its neighbour

_STYLE: Final = """\
svg{--ground:#fff;--ink:#1f2328;--quiet:#59636e;--rule:#d1d9e0;--before:#b6bfc8;--now:#0969da}
@media(prefers-color-scheme:dark){svg{--ground:#0d1117;--ink:#f0f6fc;--quiet:#9198a1;--rule:#3d444d;--before:#59626c;--now:#4ea1ff}}
text{font:12px system-ui,sans-serif;fill:var(--quiet)}.name{font-size:15px;font-weight:600;fill:var(--ink)}.ink{fill:var(--ink)}
.ground{fill:var(--ground)}.rule{stroke:var(--rule)}.before{fill:var(--before)}.now{fill:var(--now)}
.line{fill:none;stroke:var(--now);stroke-width:2;stroke-linejoin:round}.gain{fill:var(--now);opacity:.14}"""

# XML has no place for these, however they are written.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def picture(explanation: Explanation, feature: FeatureExplanation) -> str:
    """Return the picture of one of the explanation's features; of what has neither cells, nor pairs, nor a course it is words alone."""
    lines = [line for part in (feature.summary, _gain_words(feature.gain)) if part for line in wrap(part, _LINE_CHARACTERS)[:2]]
    top = 30 + 16 * len(lines)
    plot = _Plot(feature, top + 28)
    columns = _columns(feature)
    body, height = _histogram(plot, columns) if columns else _dumbbells(plot) if feature.pairs else _steps(plot) if feature.course else _bars(plot)
    parts = [
        f'<rect class="ground" width="{_WIDTH}" height="{height}" rx="6"/>',
        f'<text class="name" x="{_MARGIN}" y="26">{_text(shorten(feature.feature, 60, placeholder="…") or feature.feature[:60])}</text>',
        *(f'<text x="{_MARGIN}" y="{44 + 16 * index}">{_text(line)}</text>' for index, line in enumerate(lines)),
        *(_legend(top + 18) if feature.cells or feature.pairs else ()),
        *body,
    ]
    key = f"{crc32(feature.feature.encode('utf-8', 'replace')):08x}"  # several may stand on one page
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title-{key} description-{key}">'
        f'<title id="title-{key}">{_text(feature.feature)} of {_text(explanation.model)}: baseline against now</title>'
        f'<desc id="description-{key}">{_text(_description(explanation, feature))}</desc><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def place_words(place: Place) -> str:
    """Return where values lie, for people."""
    if isinstance(place, Numbers):
        return _range_words(place)
    if isinstance(place, Level):
        return repr(place.name)
    if isinstance(place, UnseenLevels):
        return "never seen before" + (f" ({', '.join(map(repr, place.names[:3]))})" if place.names else "")
    return "other levels" if isinstance(place, OtherLevels) else "no usable value"


def _range_words(place: Numbers) -> str:
    if place.value is not None:
        return f"{place.value:.4g}"
    if place.low is not None and place.high is not None:
        return f"{_end(place.low):.4g} to {_end(place.high):.4g}"
    if place.low is not None:
        return f"{place.low:.4g} or more" if _end(place.low) == place.low else f"above {_end(place.low):.4g}"
    if place.high is not None:
        return f"below {place.high:.4g}" if _end(place.high) == place.high else f"{_end(place.high):.4g} or less"
    return "any number"


def _end(edge: float) -> float:
    """Return the number just below an edge where that is one that people would write: the edge is then there to have it to itself."""
    below = math.nextafter(edge, -math.inf)
    return below if len(repr(below)) + 2 < len(repr(edge)) else edge


def pair_words(pair: PairChange) -> str:
    """Return which features go together, for people."""
    return " with ".join(pair.features)


def correlation_words(pair: PairChange) -> str:
    """Return how far they do, for people."""
    return f"{round(pair.before, 2) + 0.0:.2f} → {round(pair.now, 2) + 0.0:.2f}"  # never -0.00


def share_words(before: float, now: float) -> str:
    """Return two shares for people."""
    return f"{before:.1%} → {now:.1%}"


def window_words(explanation: Explanation) -> str:
    """Return how many rows a window has and, where that is known, from when to when."""
    times = f" from {format_time(explanation.opened_at_ns)} to {format_time(explanation.closed_at_ns)}" if explanation.closed_at_ns else ""
    return f"{explanation.rows:,} rows{times}"


def _gain_words(gain: Gain | None) -> str:
    return f"Gained most: {place_words(gain.place)}, {share_words(gain.before, gain.now)} of rows" if gain else ""


def _description(explanation: Explanation, feature: FeatureExplanation) -> str:
    window = f"{feature.summary}. Window of {window_words(explanation)}, against {explanation.compared_with}."
    if feature.pairs:
        return f"{window} Correlations, baseline → now: {'; '.join(f'{pair_words(pair)}: {correlation_words(pair)}' for pair in feature.pairs)}."
    if feature.course:
        return f"{window} Effect window by window, this one last: {', '.join(f'{each.effect:.3g}' for each in feature.course)}."
    shares = "; ".join(f"{place_words(cell.place)}: {share_words(cell.before, cell.now)}" for cell in feature.cells)
    return f"{window} Share of rows, baseline → now: {shares or 'not known'}."


class _Plot(NamedTuple):
    feature: FeatureExplanation
    top: float


def _legend(y: float) -> Iterator[str]:
    yield f'<rect class="before" x="{_MARGIN}" y="{y - 9}" width="14" height="10"/><text x="{_MARGIN + 20}" y="{y}">baseline</text>'
    yield f'<rect class="now" x="{_MARGIN + 84}" y="{y - 6}" width="14" height="4"/><text x="{_MARGIN + 104}" y="{y}">this window</text>'


class _Column(NamedTuple):
    """A cell of numbers with ends that can be drawn."""

    low: float
    high: float
    before: float
    now: float
    """Densities."""


def _histogram(plot: _Plot, columns: Sequence[_Column]) -> tuple[list[str], float]:
    low, high = columns[0].low, columns[-1].high
    highest = max(max(column.before, column.now) for column in columns) or 1.0
    bottom = plot.top + _PLOT_HEIGHT

    def x(value: float) -> float:
        return _MARGIN + (min(max(value, low), high) - low) / (high - low) * (_WIDTH - 2 * _MARGIN)

    def y(density: float) -> float:
        return bottom - density / highest * (_PLOT_HEIGHT - 8)

    def steps(which: Sequence[float]) -> str:
        points = [f"{x(column.low):.1f},{y(of):.1f} {x(column.high):.1f},{y(of):.1f}" for column, of in zip(columns, which, strict=True)]
        return f"{x(low):.1f},{bottom:.1f} {' '.join(points)} {x(high):.1f},{bottom:.1f}"

    parts = [f'<polygon class="before" points="{steps([column.before for column in columns])}"/>']
    if plot.feature.gain and isinstance(where := plot.feature.gain.place, Numbers):
        left, right = x(low if where.low is None else where.low), x(high if where.high is None else where.high)
        parts.append(f'<rect class="gain" x="{left:.1f}" y="{plot.top}" width="{max(right - left, 2):.1f}" height="{_PLOT_HEIGHT}"/>')
    parts.append(f'<polyline class="line" points="{steps([column.now for column in columns])}"/>')
    parts.append(f'<line class="rule" x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{bottom}" y2="{bottom}"/>')
    parts += [f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:.4g}</text>' for tick in _ticks(low, high)]
    absent = [cell for cell in plot.feature.cells if isinstance(cell.place, Missing)]
    parts += [f'<text class="ink" x="{_MARGIN}" y="{bottom + 36}">{place_words(cell.place)} {share_words(cell.before, cell.now)}</text>' for cell in absent]
    return parts, bottom + 28 + 20 * len(absent)


def _columns(feature: FeatureExplanation) -> list[_Column]:
    """Return the cells of a number as columns of a histogram; none where there are few values, or a cell is too narrow to be seen, as one value among many is.

    The open ends of the outermost cells reach as far as values were seen, if these are near.
    """
    cells = [(cell.place, cell) for cell in feature.cells if isinstance(cell.place, Numbers)]
    inner = [place.high - place.low for place, _ in cells if place.low is not None and place.high is not None]
    if len(cells) < _FEWEST_COLUMNS or any(place.value is not None for place, _ in cells) or not inner:
        return []
    first, last = cells[0][0].high or 0.0, cells[-1][0].low or 0.0
    reach = _TAIL * sorted(inner)[len(inner) // 2]
    low = max(first - max(reach, _TAIL / 2 * inner[0]), min(feature.smallest or first, first))
    high = min(last + max(reach, _TAIL / 2 * inner[-1]), max(feature.largest or last, last))
    ends = [(low if place.low is None else place.low, high if place.high is None else place.high) for place, _ in cells]
    shown = [(left, right, cell) for (left, right), (_, cell) in zip(ends, cells, strict=True) if max(cell.before, cell.now) > 0]
    if min(right - left for left, right, _ in shown) < _NARROWEST * (high - low):
        return []
    return [_Column(left, right, cell.before / (right - left), cell.now / (right - left)) for left, right, cell in shown]


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two values."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((factor for factor in (1, 2, 5, 10) if factor * power >= rough), default=10)
    first = math.ceil(low / step)
    return [round(index * step, 12) for index in range(first, math.floor(high / step) + 1)]


def _bars(plot: _Plot) -> tuple[list[str], float]:
    longest = max((max(cell.before, cell.now) for cell in plot.feature.cells), default=1.0) or 1.0
    left, room = _MARGIN + _LABEL_WIDTH, _WIDTH - 2 * _MARGIN - _LABEL_WIDTH - _NUMBERS_WIDTH
    parts: list[str] = []
    for index, cell in enumerate(plot.feature.cells):
        y = plot.top + _ROW_HEIGHT * index
        before, now = (max(share / longest * room, 1.0 if share else 0.0) for share in (cell.before, cell.now))
        parts.append(f'<text class="ink" x="{left - 10}" y="{y + 15}" text-anchor="end">{_text(_short(place_words(cell.place)))}</text>')
        parts.append(f'<rect class="before" x="{left}" y="{y + 2}" width="{before:.1f}" height="18"/>')
        parts.append(f'<rect class="now" x="{left}" y="{y + 8}" width="{now:.1f}" height="6"/>')
        parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{y + 15}" text-anchor="end">{share_words(cell.before, cell.now)}</text>')
    return parts, plot.top + _ROW_HEIGHT * len(plot.feature.cells) + (10 if plot.feature.cells else -14)


def _dumbbells(plot: _Plot) -> tuple[list[str], float]:
    """Draw correlations from −1 to 1: a dot before, a dot now, and the way between."""
    left, room = _MARGIN + _LABEL_WIDTH, _WIDTH - 2 * _MARGIN - _LABEL_WIDTH - _NUMBERS_WIDTH
    bottom = plot.top + _ROW_HEIGHT * len(plot.feature.pairs)
    parts: list[str] = []
    for tick in (-1, 0, 1):
        x = left + room * (tick + 1) / 2
        parts.append(f'<line class="rule" x1="{x}" x2="{x}" y1="{plot.top}" y2="{bottom}"/><text x="{x}" y="{bottom + 16}" text-anchor="middle">{tick}</text>')
    for index, pair in enumerate(plot.feature.pairs):
        y = plot.top + _ROW_HEIGHT * index + 12
        before, now = (left + room * (min(max(value, -1.0), 1.0) + 1) / 2 for value in (pair.before, pair.now))
        parts.append(f'<text class="ink" x="{left - 10}" y="{y + 4}" text-anchor="end">{_text(_short(pair_words(pair)))}</text>')
        parts.append(f'<line class="line" x1="{before:.1f}" x2="{now:.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="before" cx="{before:.1f}" cy="{y}" r="7"/><circle class="now" cx="{now:.1f}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{y + 4}" text-anchor="end">{correlation_words(pair)}</text>')
    return parts, bottom + 28


def _steps(plot: _Plot) -> tuple[list[str], float]:
    """Draw the effect window by window, each as wide as the others; from where on it has been at its floor or above, the ground is shaded."""
    course, since = plot.feature.course, plot.feature.since_at_ns
    largest = max(moment.effect for moment in course)
    bottom, step = plot.top + _PLOT_HEIGHT, (_WIDTH - 2 * _MARGIN) / len(course)
    heights = [bottom - max(0.0, moment.effect) / (largest or 1.0) * (_PLOT_HEIGHT - 8) for moment in course]
    points = " ".join(f"{_MARGIN + step * index:.1f},{y:.1f} {_MARGIN + step * (index + 1):.1f},{y:.1f}" for index, y in enumerate(heights))
    parts: list[str] = []
    if since:
        left = _MARGIN + step * sum(moment.opened_at_ns < since for moment in course)
        parts.append(f'<rect class="gain" x="{left:.1f}" y="{plot.top}" width="{_WIDTH - _MARGIN - left:.1f}" height="{_PLOT_HEIGHT}"/>')
    parts.append(f'<polyline class="line" points="{points}"/>')
    parts.append(f'<line class="rule" x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<text x="{_MARGIN}" y="{plot.top - 10}">effect window by window, {largest:.3g} at most</text>')
    parts.append(f'<text x="{_MARGIN}" y="{bottom + 16}">{len(course) - 1} windows before</text>')
    parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{bottom + 16}" text-anchor="end">this window</text>')
    return parts, bottom + 28


def _short(words: str) -> str:
    return words if len(words) <= _LABEL_CHARACTERS else words[: _LABEL_CHARACTERS - 1] + "…"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
