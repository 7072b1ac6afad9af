"""An explanation as one page for people: what was found, a picture for each feature with the table behind it, and examples. It needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Final

from console.picture import correlation_words, pair_words, picture, place_words, share_words, window_words
from records.explanation import Explanation, FeatureExplanation
from records.times import format_time

_STYLE: Final = """\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2.5rem}svg{max-width:100%;height:auto}
table{border-collapse:collapse}th,td{padding:.15rem .8rem .15rem 0;text-align:left;font-variant-numeric:tabular-nums}td+td{text-align:right}summary{cursor:pointer}"""


def report(explanation: Explanation, link: Callable[[str], str] | None = None) -> str:
    """Return the page as HTML; `link` leads from an exchange's id to the exchange, where that can be read."""
    title = f"{explanation.model}: window {explanation.index}"
    body = "".join([f"<h1>{_text(title)}</h1>", *_facts(explanation), *(part for each in explanation.features for part in _feature(explanation, each, link))])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _facts(explanation: Explanation) -> Iterator[str]:
    version = f", version {explanation.version}" if explanation.version else ""
    yield f"<p>{window_words(explanation)} of {_text(explanation.model)}{_text(version)}, against {_text(explanation.compared_with)}.</p>"
    yield f"<p>State: <strong>{explanation.state.value}</strong>. Evidence {explanation.evidence:,.4g}, the budget asks {explanation.threshold:,.4g}.</p>"
    if explanation.windows_since:
        windows = "1 window" if explanation.windows_since == 1 else f"{explanation.windows_since:,} windows"
        since = f"Since {format_time(explanation.since_at_ns)}" if explanation.since_at_ns else "An effect is shown by"
        yield f"<p>{since}: {windows}, {explanation.rows_since:,} rows.</p>"
    if explanation.performance:
        yield f"<p>{_text(explanation.performance.words)}</p>"
    yield from (f"<p>{_text(finding.text)}</p>" for finding in explanation.quality)
    if not explanation.features:
        yield "<p>No feature carries evidence.</p>"
    if explanation.features_left_out:
        yield f"<p>{explanation.features_left_out:,} more features carry evidence and are not shown here.</p>"


def _feature(explanation: Explanation, feature: FeatureExplanation, link: Callable[[str], str] | None) -> Iterator[str]:
    since = f", since {format_time(feature.since_at_ns)}" if feature.since_at_ns else ""
    yield f"<h2>{_text(feature.feature)}</h2><p>{feature.share:.0%} of the evidence{since}.</p>{picture(explanation, feature)}"
    if feature.gain and feature.gain.exchange_ids:
        ids = ", ".join(_exchange(each, link) for each in feature.gain.exchange_ids)
        yield f"<p>Examples from where the window gained most ({_text(place_words(feature.gain.place))}): {ids}</p>"
    yield f"<details><summary>Numbers</summary>{_table(feature)}</details>"


def _exchange(exchange_id: str, link: Callable[[str], str] | None) -> str:
    shown = f"<code>{_text(exchange_id)}</code>"
    return f'<a href="{_text(link(exchange_id))}">{shown}</a>' if link else shown


def _table(feature: FeatureExplanation) -> str:
    cells = "".join(f"<tr><td>{_text(place_words(cell.place))}</td><td>{share_words(cell.before, cell.now)}</td></tr>" for cell in feature.cells)
    tests = "".join(f"<tr><td>{_text(name)}</td><td>{test.effect:.4g}</td><td>{test.p_value:.3g}</td></tr>" for name, test in feature.tests.items())
    effects = "".join(f"<tr><td>{_text(name)}</td><td>{size:.4g}</td><td>–</td></tr>" for name, size in feature.effects.items() if name not in feature.tests)
    shares = f"<table><tr><th>share of rows</th><th>baseline → window</th></tr>{cells}</table>" if cells else ""
    pairs = "".join(f"<tr><td>{_text(pair_words(pair))}</td><td>{correlation_words(pair)}</td></tr>" for pair in feature.pairs)
    shares += f"<table><tr><th>correlation of</th><th>baseline → window</th></tr>{pairs}</table>" if pairs else ""
    scores = "".join(f"<tr><td>{_text(each.feature)}</td><td>{each.location:+.2f}</td><td>{each.scale:+.2f}</td></tr>" for each in feature.scores)
    shares += f"<table><tr><th>number</th><th>mean moved by (sd)</th><th>spread by (sd)</th></tr>{scores}</table>" if scores else ""
    return f"{shares}<table><tr><th>statistic</th><th>effect</th><th>p-value</th></tr>{tests}{effects}</table>"


def _text(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode())
