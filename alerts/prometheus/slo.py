"""Error budgets: what a route's promise over 30 days leaves, and how fast it is used up.

Multi-window, multi-burn-rate alerts as in chapter 5 of the Site Reliability Workbook (Beyer et al. 2018,
https://sre.google/workbook/alerting-on-slos/). The series have the names that Sloth gives them (https://sloth.dev), so that
dashboards made for those work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from alerts.prometheus.rule import AlertRule, Recording, over_replicas, quoted
from config.settings import Settings, SloSettings
from records.alert import Severity
from records.metrics import BUCKET_SUFFIX, Metric

ERRORS_AT_LEAST: Final = 5
"""With fewer errors in the long window nobody is told: a route with ten requests a day is not burning its budget, it had an error."""

_PERIOD_DAYS: Final = 30
_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_ARM: Final = ("arm", "role")
_AVAILABILITY: Final = {"slo": "availability"}
_LATENCY: Final = {"slo": "latency"}


class Burn(NamedTuple):
    """Somebody is told when the budget burns `factor` times as fast as it may, over both windows: the short one ends the alert soon after the fault."""

    severity: Severity
    long: str
    short: str
    factor: float
    used: str
    """The share of 30 days' budget that is gone by then."""


BURNS: Final = (
    Burn(Severity.PAGE, "1h", "5m", 14.4, "2%"),
    Burn(Severity.PAGE, "6h", "30m", 6, "5%"),
    Burn(Severity.TICKET, "1d", "2h", 3, "10%"),
    Burn(Severity.TICKET, "3d", "6h", 1, "10%"),
)


def recordings(settings: Settings) -> Iterator[Recording]:
    """Yield the share of errors over each window, and each route's objective and budget."""
    promises = list(_promises(settings))
    yield Recording(
        record="slo:objective:ratio", expr=_any(_objective(promise.selector, promise.slo.availability) for promise in promises), labels=_AVAILABILITY
    )
    timed = [promise for promise in promises if promise.slo.latency is not None]
    if timed:
        yield Recording(record="slo:objective:ratio", expr=_any(_objective(promise.selector, promise.slo.latency_share) for promise in timed), labels=_LATENCY)
    yield Recording(record="slo:error_budget:ratio", expr="1 - slo:objective:ratio")
    yield Recording(record="slo:time_period:days", expr=f"slo:objective:ratio * 0 + {_PERIOD_DAYS}")
    for window in _WINDOWS:
        yield Recording(record=f"slo:sli_error:ratio_rate{window}", expr=_unavailable(window), labels=_AVAILABILITY)
        if timed:
            slow = _any(_slow(window, promise) for promise in timed)
            yield Recording(record=f"slo:sli_error:ratio_rate{window}", expr=slow, labels=_LATENCY)
    for window in {burn.long: None for burn in BURNS}:
        requests = over_replicas("sum", f'increase({Metric.HTTP_REQUESTS.metric_name}{{role="served"}}[{window}])', "code", *_ARM)
        yield Recording(record=f"slo:sli_error:increase{window}", expr=f"slo:sli_error:ratio_rate{window} * ignoring (slo) group_left () {requests}")
    yield Recording(
        record="slo:period_error_budget_remaining:ratio",
        expr=f"1 - sum_over_time(slo:sli_error:ratio_rate5m[{_PERIOD_DAYS}d]) / count_over_time(slo:sli_error:ratio_rate5m[{_PERIOD_DAYS}d]) / slo:error_budget:ratio",
    )


def alerts(with_team: Callable[[str], str]) -> Iterator[AlertRule]:
    """Yield one alert per severity, which is the same whatever the route promises; `with_team` adds to an expression who answers for the route."""
    for severity in Severity:
        burns = [burn for burn in BURNS if burn.severity is severity]
        windows = " or ".join(f"{burn.used} of it in {burn.long}" for burn in burns)
        yield AlertRule(
            name="ErrorBudgetBurning",
            expr=with_team(f"({_any(map(_burning, burns))})"),
            severity=severity,
            keeps_firing_for="2m",
            summary="Route {{ $labels.route }}: the error budget of its {{ $labels.slo }} burns too fast",
            description=(
                f"At this rate the budget of {_PERIOD_DAYS} days is used up long before they are over ({windows}): "
                "{{ $value | humanizePercentage }} of the requests broke the promise. "
                '{{ with printf "slo:objective:ratio{route=%q,slo=%q}" $labels.route $labels.slo | query }}Promised: {{ . | first | value | humanizePercentage }} that do not.{{ end }}'
            ),
            dashboard="driftline-data-plane?var-route={{ $labels.route }}",
        )


def _burning(burn: Burn) -> str:
    long, short, budget = f"slo:sli_error:ratio_rate{burn.long}", f"slo:sli_error:ratio_rate{burn.short}", f"{burn.factor:g} * slo:error_budget:ratio"
    return f"({long} > {budget} and {short} > {budget} and slo:sli_error:increase{burn.long} >= {ERRORS_AT_LEAST})"


class _Promise(NamedTuple):
    selector: str
    """Label matchers of a route's served requests."""
    slo: SloSettings


def _promises(settings: Settings) -> Iterator[_Promise]:
    """Yield what each route promises; without routes in the settings every route promises the default."""
    if not settings.routes:
        yield _Promise('role="served"', SloSettings())
    for route in settings.routes:
        yield _Promise(f'role="served",route="{quoted(route.name)}"', route.slo)


def _objective(selector: str, share: float) -> str:
    return f"{share:.10g} * {over_replicas('group', f'{Metric.HTTP_REQUESTS.metric_name}{{{selector}}}', 'code', *_ARM)}"


def _any(expressions: Iterable[str]) -> str:
    return "\nor\n".join(expressions)


def _unavailable(window: str) -> str:
    requests = over_replicas("sum", f'rate({Metric.HTTP_REQUESTS.metric_name}{{role="served"}}[{window}])', "code", *_ARM)
    failed = over_replicas("sum", f'rate({Metric.HTTP_REQUESTS.metric_name}{{role="served",code=~"5.."}}[{window}])', "code", *_ARM)
    cut = over_replicas("sum", f'rate({Metric.REPLIES_CUT.metric_name}{{role="served"}}[{window}])', *_ARM)
    return f"(({failed} or 0 * {requests})\n  + ({cut} or 0 * {requests}))\n/ ({requests} > 0)"


def _slow(window: str, promise: _Promise) -> str:
    assert promise.slo.latency is not None
    selector, bound = promise.selector, float(promise.slo.latency)
    name = Metric.HTTP_REQUEST_DURATION.metric_name
    whole = over_replicas("sum", f"rate({name}_count{{{selector}}}[{window}])", *_ARM)
    fast = over_replicas("sum", f'rate({name}{BUCKET_SUFFIX}{{{selector},le="{bound}"}}[{window}])', "le", *_ARM)
    return f"1 - {fast} / ({whole} > 0)"
