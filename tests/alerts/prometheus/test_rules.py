"""The rules in the hands of Prometheus's own tool: they are sound, they fire, they stay silent, they end."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from alerts.prometheus.rules import alert_groups, rules_file
from config.addresses import Url
from config.settings import RouteSettings, Settings, SloSettings
from config.units import Seconds, Share
from records.metrics import Metric

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")

UPSTREAM = (Url.parse("http://127.0.0.1:9000"),)
SETTINGS = Settings(
    routes=(
        RouteSettings(name="fraud", upstream=UPSTREAM, path="/fraud", team="risk", model="fraud.v2", slo=SloSettings(latency=Seconds(0.25))),
        RouteSettings(name='a "b" \\ (c)', upstream=UPSTREAM, path="/odd", slo=SloSettings(availability=Share(0.9), latency=Seconds(1.0))),
    )
)
TARGET = 'job="driftline",instance="10.0.0.1:8081"'
OTHER = 'job="driftline",instance="10.0.0.2:8081"'


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


class Case(NamedTuple):
    """Series as promtool writes them (a value per minute), and who is told after so many minutes."""

    what: str
    series: dict[str, str]
    told: dict[int, list[dict[str, str]]]


def requests(route: str, code: str, values: str, target: str = TARGET) -> dict[str, str]:
    return {f'driftline_http_requests_total{{{target},route={json.dumps(route)},arm="upstream",role="served",code="{code}"}}': values}


def alert(name: str, severity: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "job": "driftline", **labels}


FRAUD = {"route": "fraud", "team": "risk"}
WATCHED = {f'driftline_drift_windows_total{{{TARGET},model="fraud.v2"}}': "0+1x200"}
AVAILABILITY_PAGE = alert("ErrorBudgetBurning", "page", slo="availability", **FRAUD)
AVAILABILITY_TICKET = alert("ErrorBudgetBurning", "ticket", slo="availability", **FRAUD)

CASES = [
    Case(
        "two errors in a hundred burn a budget of one in a thousand, over both replicas, until they end",
        requests("fraud", "200", "0+98x60 5880+100x60")
        | requests("fraud", "503", "0+2x60 120+0x60")
        | requests("fraud", "200", "0+98x120", OTHER)
        | requests("fraud", "503", "0+2x60 120+0x60", OTHER)
        | WATCHED,
        {0: [], 30: [AVAILABILITY_PAGE, AVAILABILITY_TICKET], 100: [AVAILABILITY_TICKET]},
    ),
    Case("errors within the budget are nobody's business", requests("fraud", "200", "0+9999x90") | requests("fraud", "503", "0+1x90") | WATCHED, {90: []}),
    Case(
        "a few errors of a route with little traffic are not told",
        requests("fraud", "200", "0+0x90") | requests("fraud", "503", "0+0x10 0+1x3 3+0x80"),
        {20: [], 60: []},
    ),
    Case("each route has its own promise", requests('a "b" \\ (c)', "200", "0+98x60") | requests('a "b" \\ (c)', "503", "0+2x60"), {50: []}),
    Case(
        "replies that are cut off are errors, whatever their status was",
        requests("fraud", "200", "0+100x60") | {f'driftline_http_replies_cut_total{{{TARGET},route="fraud",arm="upstream",role="served"}}': "0+5x60"},
        {30: [AVAILABILITY_PAGE, AVAILABILITY_TICKET]},
    ),
    Case(
        "slow replies burn the budget of latency",
        {
            f'driftline_http_request_duration_seconds_count{{{TARGET},route="fraud",arm="upstream",role="served"}}': "0+100x60",
            f'driftline_http_request_duration_seconds_bucket{{{TARGET},route="fraud",arm="upstream",role="served",le="0.25"}}': "0+70x60",
        }
        | requests("fraud", "200", "0+100x60"),
        {30: [alert("ErrorBudgetBurning", severity, slo="latency", **FRAUD) for severity in ("page", "ticket")]},
    ),
    Case(
        "an upstream that takes no connections pages after a minute",
        requests("fraud", "200", "0+0x30")
        | {f'driftline_exchange_errors_total{{{TARGET},route="fraud",arm="upstream",role="served",kind="connect_failed"}}': "0+0x5 0+60x10 600+0x15"}
        | requests("fraud", "502", "0+0x5 0+60x10 600+0x15"),
        {5: [], 14: [alert("UpstreamUnreachable", "page", **FRAUD), AVAILABILITY_PAGE, AVAILABILITY_TICKET]},
    ),
    Case(
        "half of the endpoints out of service is a ticket",
        {f'driftline_endpoints{{{TARGET},route="fraud",arm="upstream",endpoint="{name}"}}': "1x30" for name in ("a", "b")}
        | {f'driftline_endpoints_in_service{{{TARGET},route="fraud",arm="upstream",endpoint="a"}}': "1x30"}
        | {f'driftline_endpoints_in_service{{{TARGET},route="fraud",arm="upstream",endpoint="b"}}': "1x5 0x20 1x5"},
        {4: [], 20: [alert("EndpointsOutOfService", "ticket", arm="upstream", **FRAUD)], 29: []},
    ),
    Case(
        "drift pages at once, with the team of the route that names the model, and ends with the monitor's own judgement",
        {f'driftline_drift_firing{{{TARGET},model="fraud.v2"}}': "0 0 1 1 1 0 0", f'driftline_drift_firing{{{TARGET},model="other"}}': "0x3 1 0x9"},
        {
            1: [],
            2: [alert("ModelDataDrift", "page", model="fraud.v2", **FRAUD)],
            5: [],
            4: [alert("ModelDataDrift", "page", model="other", route="other"), alert("ModelDataDrift", "page", model="fraud.v2", **FRAUD)],
        },
    ),
    Case(
        "predictions that are worse by their labels page",
        {f'driftline_risk_firing{{{TARGET},model="fraud.v2"}}': "0 1 1 0"},
        {0: [], 1: [alert("ModelPerformanceDrop", "page", model="fraud.v2", **FRAUD)], 3: []},
    ),
    Case(
        "traffic without a window is a ticket",
        requests("fraud", "200", "0+100x500") | {f'driftline_drift_windows_total{{{TARGET},model="fraud.v2"}}': "5x500"},
        {60: [], 300: [alert("DriftUnwatched", "ticket")]},
    ),
    Case(
        "traffic with windows is not",
        requests("fraud", "200", "0+100x500") | {f'driftline_drift_windows_total{{{TARGET},model="fraud.v2"}}': "0+1x500"},
        {300: []},
    ),
    Case(
        "bodies that cannot be decoded are a ticket, those of errors are not",
        {
            f"driftline_exchanges_captured_total{{{TARGET}}}": "0+100x90",
            f'driftline_undecodable_total{{{TARGET},format="json",reason="malformed"}}': "0+30x90",
            f'driftline_undecodable_total{{{TARGET},format="json",reason="error_reply"}}': "0+90x90",
            f"driftline_exchanges_captured_total{{{OTHER}}}": "0+100x90",
        },
        {5: [], 45: [alert("BodiesUndecodable", "ticket")]},
    ),
    Case(
        "a shadow that answers otherwise is a ticket, and ends with the monitor's own judgement",
        {f'driftline_shadow_firing{{{TARGET},route="fraud",model="fraud.v2",arm="candidate"}}': "0 1 1 0"},
        {0: [], 1: [alert("ShadowDiverging", "ticket", model="fraud.v2", arm="candidate", **FRAUD)], 3: []},
    ),
    Case(
        "a shadow that is left alone for long is a ticket",
        {f'driftline_mirror_circuits_open{{{TARGET},route="fraud",arm="candidate"}}': "0x5 1x20 0x5"},
        {10: [], 24: [alert("ShadowFailing", "ticket", arm="candidate", **FRAUD)], 29: []},
    ),
    Case(
        "lost records are a ticket, by reason",
        {
            f'driftline_exchanges_dropped_total{{{TARGET},reason="spool_full"}}': "0x5 7x30",
            f'driftline_exchanges_dropped_total{{{TARGET},reason="poison"}}': "3x35",
        },
        {4: [], 8: [alert("ExchangesDropped", "ticket", reason="spool_full")], 30: []},
    ),
    Case(
        "a store that is away for five minutes is a ticket",
        {f"driftline_store_up{{{TARGET}}}": "1x5 0x10 1x5"},
        {9: [], 14: [alert("StoreUnreachable", "ticket")], 19: []},
    ),
    Case(
        "a spool that is nearly full is a ticket",
        {f"driftline_spool_bytes{{{TARGET}}}": "10x5 90x10 10x5", f"driftline_spool_limit_bytes{{{TARGET}}}": "100x20"},
        {4: [], 14: [alert("SpoolFilling", "ticket")], 19: []},
    ),
    Case(
        "a consumer that is behind by more than five minutes of records is a ticket",
        {
            f'driftline_consumer_lag_records{{{TARGET},consumer="store"}}': "0x5 90000x20 0x9",
            f'driftline_consumer_lag_records{{{TARGET},consumer="detectors"}}': "5x34",
            f"driftline_exchanges_captured_total{{{TARGET}}}": "0+6000x34",
        },
        {8: [], 24: [alert("ConsumerLagging", "ticket", consumer="store")], 33: []},
    ),
    Case(
        "records that the detectors pass over are a ticket",
        {f"driftline_detector_skipped_total{{{TARGET}}}": "0+10x40 400+0x30"},
        {5: [], 30: [alert("DetectorsSkipping", "ticket")], 69: []},
    ),
    Case(
        "counts that do not add up are a ticket",
        {
            f"driftline_exchanges_captured_total{{{TARGET}}}": "10x20",
            f"driftline_exchanges_stored_total{{{TARGET}}}": "6x20",
            f'driftline_exchanges_dropped_total{{{TARGET},reason="poison"}}': "1x20",
            f'driftline_exchanges_dropped_total{{{TARGET},reason="torn"}}': "1x20",
            f"driftline_exchanges_pending{{{TARGET}}}": "2x5 1x15",
        },
        {4: [], 15: [alert("CountsUnbalanced", "ticket")]},
    ),
    Case(
        "a certificate that ends within two weeks is a ticket",
        {
            f'driftline_certificate_expiry_timestamp_seconds{{{TARGET},file="/tls.crt"}}': f"{13 * 86400}x90",
            f'driftline_certificate_expiry_timestamp_seconds{{{TARGET},file="/ca.crt"}}': f"{16 * 86400}x90",
        },
        {30: [], 80: [alert("CertificateExpiring", "ticket", file="/tls.crt")]},
    ),
    Case(
        "a monitor that is gone is a ticket, while another of its job is there it is not",
        {f'driftline_up{{{TARGET},component="monitor"}}': "1x10", f'driftline_up{{{OTHER},component="monitor"}}': "1x30"},
        {20: [], 45: [alert("MonitorMissing", "ticket", component="monitor")]},
    ),
    Case(
        "a consumer that stopped is a ticket",
        {f'driftline_up{{{TARGET},component="detectors"}}': "1x5 0x20"},
        {6: [], 15: [alert("ConsumerStopped", "ticket", component="detectors")]},
    ),
    Case(
        "own notifications that are given up are a ticket",
        {f'driftline_notification_failures_total{{{TARGET},notifier="webhook"}}': "0x5 1x10"},
        {4: [], 7: [alert("NotificationsFailing", "ticket", notifier="webhook")]},
    ),
    Case(
        "a runtime whose requests wait is a ticket",
        {f'driftline_runtime_queue_delay_ratio{{{TARGET},model="fraud.v2",version="3"}}': "0x5 2x20 0x5"},
        {10: [], 24: [alert("RuntimeOverloaded", "ticket", model="fraud.v2", version="3", **FRAUD)], 29: []},
    ),
    Case(
        "a version that was refused is a ticket",
        {f'driftline_runtime_load_failures_total{{{TARGET},model="fraud.v2"}}': "0x5 1x30"},
        {4: [], 8: [alert("ModelVersionRefused", "ticket", model="fraud.v2", **FRAUD)], 30: []},
    ),
]


def firing(minute: int, told: list[dict[str, str]]) -> dict[str, Any]:
    pairs = [",".join(f"{name}={json.dumps(value)}" for name, value in (labels | {"alertstate": "firing"}).items()) for labels in told]
    samples = [{"labels": f"ALERTS{{{labels}}}", "value": 1} for labels in pairs]
    return {"expr": 'ALERTS{alertstate="firing",alertname!="Watchdog"}', "eval_time": f"{minute}m", "exp_samples": samples}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rules") / "driftline.rules.yaml"
    file.write_text(rules_file(SETTINGS))
    return file


@pytest.mark.parametrize("settings", [Settings(), SETTINGS], ids=["defaults", "routes"])
def test_prometheus_takes_the_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rules_file(settings))
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_who_is_told(case: Case, rules: Path, tmp_path: Path) -> None:
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": [firing(minute, told) for minute, told in case.told.items()]}]
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}, allow_unicode=True))
    promtool("test", "rules", str(tmp_path / "test.yaml"))


def test_every_alert_has_a_case() -> None:
    told = {labels["alertname"] for case in CASES for alerts in case.told.values() for labels in alerts}
    assert told | {"Watchdog"} == {rule.name for group in alert_groups(SETTINGS).values() for rule in group}


def test_texts_have_the_numbers(rules: Path, tmp_path: Path) -> None:
    series = [
        {"series": f'driftline_drift_firing{{{TARGET},model="fraud.v2"}}', "values": "1 1"},
        *(
            {"series": f'driftline_feature_evidence_share_ratio{{{TARGET},model="fraud.v2",feature="{feature}"}}', "values": f"{share} {share}"}
            for feature, share in (("age", 0.5), ("city", 0.25), ("x", 0.05), ("y", 0.2))
        ),
    ]
    expected = {
        "exp_labels": {"severity": "page", "job": "driftline", "model": "fraud.v2", "route": "fraud", "team": "risk"},
        "exp_annotations": {
            "summary": "fraud.v2: data drift",
            "description": "Its data differ from the baseline: the evidence passed what the budget of false alerts asks for, and the effect is above the floor. "
            "Features, by their share of the evidence: age 50%; city 25%; y 20%; ",
            "runbook_url": "docs/runbooks/README.md#modeldatadrift",
            "dashboard_url": "/d/driftline-model?var-model=fraud.v2",
        },
    }
    test = {"interval": "1m", "input_series": series, "alert_rule_test": [{"eval_time": "1m", "alertname": "ModelDataDrift", "exp_alerts": [expected]}]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(tmp_path / "test.yaml"))


def test_rules_ask_for_metrics_that_there_are() -> None:
    known = {metric.metric_name for metric in Metric}
    asked = set(re.findall(r"driftline_[a-z_]+", rules_file(SETTINGS)))
    assert {name.removesuffix("_bucket").removesuffix("_count") for name in asked} <= known
