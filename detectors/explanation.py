"""Why a verdict is what it is: baseline against now, cell by cell, where the window gained most, and since when.

Examples are looked for where the window gained most beyond chance: of all runs of neighbouring bins of a number, all levels, and the rows without a value, in the place with
the largest

    z = (now − before) / √(p·(1 − p)) ,   p = (now + before)/2

with shares of all rows. Source: Kulldorff, "A spatial scan statistic", Communications in Statistics – Theory and Methods 26, 1997.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice, takewhile
from typing import Final, NamedTuple

import msgspec
import numpy as np

from detectors.cycle import Season
from detectors.joint import JointScores, features_of
from detectors.joint_watch import NAME as ALL_NUMBERS
from detectors.pair_watch import NAME as CORRELATIONS
from detectors.pairs import PairTally
from detectors.tally import Tally
from detectors.univariate import shown_effects
from records.baseline import Baseline, CategoricalBaseline, FeatureBaseline, JointBaseline, NumericBaseline, PairBaseline
from records.explanation import (
    Cell,
    Explanation,
    FeatureExplanation,
    Gain,
    Level,
    Missing,
    Moment,
    Numbers,
    OtherLevels,
    PairChange,
    ScoreChange,
    UnseenLevels,
)
from records.verdict import FeatureVerdict, Verdict
from records.window import CategoricalSummary, FeatureSummary, NumericSummary, WindowSummary

FEATURES_AT_MOST: Final = 8

_CELLS: Final = 20
_LEVELS_SHOWN: Final = 12
_PAIRS_SHOWN: Final = 8
_COURSE: Final = 60  # windows
_SCORES_SHOWN: Final = 12
_WORTH_SHOWING: Final = 1e-9


class Shown(NamedTuple):
    """Which features a window showed an effect of."""

    opened_at_ns: int
    rows: int
    features: frozenset[str]
    effects: Mapping[str, float]
    """How large it was, of features with one test alone."""

    @classmethod
    def of(cls, verdict: Verdict) -> Shown:
        """Return what a verdict says of them."""
        effects = {each.feature: test.effect for each in verdict.features if len(each.tests) == 1 for test in each.tests.values()}
        return cls(verdict.opened_at_ns, verdict.rows, frozenset(each.feature for each in verdict.features if each.effect_above_floor), effects)


def explain(baseline: Baseline, summary: WindowSummary, verdict: Verdict, before: Sequence[Shown]) -> Explanation:
    """Explain a window by its verdict, its counts and its baseline; `before` are the windows before it against the same baseline, the latest first."""
    wanted = [feature for feature in verdict.features if feature.feature in verdict.carriers] or [each for each in verdict.features if each.share > 0]
    windows = [Shown.of(verdict), *before]
    features = {feature.name: feature for feature in baseline.features}
    explained = [_explained(each, features.get(each.feature), baseline, summary, windows) for each in wanted[:FEATURES_AT_MOST]]
    inside = max((_since(name, windows) for name in verdict.carriers), key=len, default=())
    return Explanation(
        model=verdict.model,
        version=verdict.version,
        baseline_id=verdict.baseline_id,
        compared_with=verdict.compared_with,
        index=verdict.index,
        opened_at_ns=verdict.opened_at_ns,
        closed_at_ns=verdict.closed_at_ns,
        rows=verdict.rows,
        state=verdict.state,
        evidence=verdict.evidence,
        threshold=verdict.threshold,
        since_at_ns=_opening(inside),
        windows_since=len(inside),
        rows_since=sum(each.rows for each in inside),
        features=tuple(explained),
        features_left_out=len(wanted) - len(explained),
        quality=verdict.quality,
    )


def _since(feature: str, windows: Sequence[Shown]) -> Sequence[Shown]:
    """Return the windows in a row, from the latest back, that show the feature's effect."""
    return list(takewhile(lambda window: feature in window.features, windows))


def _opening(windows: Sequence[Shown]) -> int:
    return windows[-1].opened_at_ns if windows else 0


def _explained(
    verdict: FeatureVerdict, feature: FeatureBaseline | None, baseline: Baseline, summary: WindowSummary, windows: Sequence[Shown]
) -> FeatureExplanation:
    since = _opening(_since(verdict.feature, windows))
    told = FeatureExplanation(feature=verdict.feature, share=verdict.share, since_at_ns=since, summary=verdict.summary, tests=verdict.tests)
    if isinstance(feature, NumericBaseline | CategoricalBaseline):
        return _with_cells(told, feature, baseline.rows, summary)
    if verdict.feature == CORRELATIONS and baseline.pairs is not None:
        return msgspec.structs.replace(told, pairs=_pair_changes(baseline.pairs, summary))
    if verdict.feature == ALL_NUMBERS and baseline.joint is not None:
        told = msgspec.structs.replace(told, scores=_score_changes(baseline, baseline.joint, summary))
    return msgspec.structs.replace(told, course=_course(verdict.feature, windows))


def _with_cells(told: FeatureExplanation, baseline: NumericBaseline | CategoricalBaseline, rows: int, summary: WindowSummary) -> FeatureExplanation:
    season, seen = Season.of(baseline, rows), summary.features[baseline.name]
    before, now = season.expected(summary.middle_ns), Tally.of(seen)
    bins = _bins_of_numbers(baseline, before, now) if isinstance(baseline, NumericBaseline) else _bins_of_levels(baseline, before, now, seen)
    ends = _ends(baseline, seen)
    absent = [Cell(place=Missing(), before=float(before.absent / (before.rows or 1.0)), now=float(now.absent / (now.rows or 1.0)))]
    return msgspec.structs.replace(
        told,
        effects=shown_effects(baseline, rows, season.without(now, summary.middle_ns)),
        cells=tuple(cell for cell in _picture(baseline, bins) + absent if max(cell.before, cell.now) > _WORTH_SHOWING),
        smallest=ends[0],
        largest=ends[1],
        gain=_largest_gain([*_runs(bins), *absent] if isinstance(baseline, NumericBaseline) else [*bins, *absent]),
    )


def _course(feature: str, windows: Sequence[Shown]) -> tuple[Moment, ...]:
    """Return the effects of a feature in the latest windows that tested it, the earliest first."""
    moments = (Moment(opened_at_ns=each.opened_at_ns, effect=each.effects[feature]) for each in windows if feature in each.effects)
    return tuple(islice(moments, _COURSE))[::-1]


def _pair_changes(baseline: PairBaseline, summary: WindowSummary) -> tuple[PairChange, ...]:
    """Return the pairs whose correlation changed most."""
    now = PairTally.of(summary.pairs, summary.rows).correlations.tolist()
    changes = [
        PairChange(features=pair, before=before, now=after)
        for pair, before, after in zip(combinations(baseline.features, 2), baseline.correlations, now, strict=True)
    ]
    return tuple(sorted(changes, key=lambda change: -abs(change.now - change.before))[:_PAIRS_SHOWN])


def _score_changes(baseline: Baseline, joint: JointBaseline, summary: WindowSummary) -> tuple[ScoreChange, ...]:
    """Return the numbers whose scores changed most."""
    features = features_of(joint, baseline)
    scores = JointScores(features)
    usual = scores.tally({feature.name: Season.of(feature, baseline.rows).expected(summary.middle_ns) for feature in features}, baseline.rows)
    now = scores.tally({feature.name: Tally.of(summary.features[feature.name]) for feature in features}, summary.rows)
    location, scale = np.split(now.frequencies() - usual.frequencies(), 2)
    most = np.argsort(-np.maximum(np.abs(location), np.abs(scale)))[:_SCORES_SHOWN].tolist()
    return tuple(ScoreChange(feature=features[index].name, location=float(location[index]), scale=float(scale[index])) for index in most)


def _ends(baseline: FeatureBaseline, seen: FeatureSummary) -> tuple[float | None, float | None]:
    """Return the smallest and the largest of all numbers."""
    if not (isinstance(baseline, NumericBaseline) and isinstance(seen, NumericSummary)):
        return None, None
    known = [baseline.minimum, baseline.maximum] if any(baseline.counts) else []
    values = [*known, *(end for end in (seen.minimum, seen.maximum) if end is not None)]
    return (min(values), max(values)) if values else (None, None)


def _bins_of_numbers(baseline: NumericBaseline, before: Tally, now: Tally) -> list[Cell]:
    """Return a cell for each bin."""
    ends = [None, *baseline.edges, None]
    is_discrete = _is_discrete(baseline)
    shares = zip((before.counts / (before.rows or 1.0)).tolist(), (now.counts / (now.rows or 1.0)).tolist(), strict=True)
    values = [centre if is_discrete and count else None for centre, count in zip(baseline.centres, baseline.counts, strict=True)]
    return [
        Cell(place=Numbers(low=ends[index], high=ends[index + 1], value=values[index]), before=share, now=share_now)
        for index, (share, share_now) in enumerate(shares)
    ]


def _is_discrete(baseline: NumericBaseline) -> bool:
    """Return whether each bin has one value: then the outermost bins are for values never seen (`detectors.binning`)."""
    few = sum(count > 0 for count in baseline.counts) <= _CELLS
    return few and baseline.edges[:1] == (baseline.minimum,) and baseline.edges[-1:] > (baseline.maximum,)


def _bins_of_levels(baseline: CategoricalBaseline, before: Tally, now: Tally, seen: FeatureSummary) -> list[Cell]:
    """Return a cell for each level, then one for all others, and one for those never seen."""
    assert isinstance(seen, CategoricalSummary)
    shares, shares_now = (before.counts / (before.rows or 1.0)).tolist(), (now.counts / (now.rows or 1.0)).tolist()
    unseen = now.unseen / (now.rows or 1.0)
    levels = [Cell(place=Level(name), before=shares[index], now=shares_now[index]) for index, name in enumerate(baseline.levels)]
    others = Cell(place=OtherLevels(), before=shares[-1], now=max(0.0, shares_now[-1] - unseen))
    return [*levels, others, Cell(place=UnseenLevels(tuple(seen.new_values)), before=0.0, now=unseen)]


def _picture(baseline: FeatureBaseline, bins: Sequence[Cell]) -> list[Cell]:
    """Return so many cells as people can take in: neighbouring bins of numbers together, and of levels the heaviest."""
    if isinstance(baseline, CategoricalBaseline):
        return _heaviest_levels(bins)
    if sum(cell.before > 0 for cell in bins) <= _CELLS:
        return list(bins)
    cells, open_bins = [], []
    for cell in bins:
        open_bins.append(cell)
        if sum(each.before for each in open_bins) >= 0.95 * sum(each.before for each in bins) / _CELLS:
            cells.append(_together(open_bins))
            open_bins = []
    return [*cells[:-1], _together([cells[-1], *open_bins])] if open_bins else cells


def _heaviest_levels(bins: Sequence[Cell]) -> list[Cell]:
    *levels, others, unseen = bins
    heaviest = sorted(levels, key=lambda cell: -max(cell.before, cell.now))
    shown = [cell for cell in levels if cell in heaviest[:_LEVELS_SHOWN]]
    rest = heaviest[_LEVELS_SHOWN:]
    return [*shown, Cell(place=others.place, before=others.before + sum(cell.before for cell in rest), now=others.now + sum(cell.now for cell in rest)), unseen]


def _together(cells: Sequence[Cell]) -> Cell:
    """Return the cell of neighbouring bins of numbers."""
    first, last = cells[0].place, cells[-1].place
    assert isinstance(first, Numbers)
    assert isinstance(last, Numbers)
    place = first if len(cells) == 1 else Numbers(low=first.low, high=last.high)
    return Cell(place=place, before=sum(cell.before for cell in cells), now=sum(cell.now for cell in cells))


def _runs(bins: Sequence[Cell]) -> Iterator[Cell]:
    """Yield every run of neighbouring bins."""
    for first in range(len(bins)):
        before = now = 0.0
        low, value = _numbers(bins[first]).low, _numbers(bins[first]).value
        for last in range(first, len(bins)):
            before, now = before + bins[last].before, now + bins[last].now
            place = Numbers(low=low, high=_numbers(bins[last]).high, value=value if first == last else None)
            yield Cell(place=place, before=before, now=now)


def _numbers(cell: Cell) -> Numbers:
    assert isinstance(cell.place, Numbers)
    return cell.place


def _largest_gain(cells: Iterable[Cell]) -> Gain | None:
    most = max(cells, key=_gained, default=None)
    return Gain(place=most.place, before=most.before, now=most.now) if most is not None and _gained(most) > 0 else None


def _gained(cell: Cell) -> float:
    share = (cell.before + cell.now) / 2
    return (cell.now - cell.before) / math.sqrt(share * (1 - share)) if 0 < share < 1 else 0.0
