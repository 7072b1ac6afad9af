"""The metrics page."""

import math
import shutil
import subprocess
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from console.metrics import FEATURES_AT_MOST, MetricsPage
from records.metrics import DropReason, Metric
from records.status import TracedValue


def scrape(views) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of the page, by name and labels, as Prometheus would read them."""
    page, _ = MetricsPage(views).render("")
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in parse(page.decode()) for sample in family.samples}


def sample(samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_the_counted_promise_is_on_the_page(views):
    samples = scrape(views)
    dropped = {reason: sample(samples, "driftline_exchanges_dropped_total", reason=reason) for reason in DropReason}
    assert dropped == {reason: 60 if reason is DropReason.SPOOL_FULL else 0 for reason in DropReason}
    captured = sample(samples, "driftline_exchanges_captured_total")
    assert captured == sample(samples, "driftline_exchanges_stored_total") + sum(dropped.values()) + sample(samples, "driftline_exchanges_pending")


def test_counters_of_the_workers_are_passed_on(views):
    samples = scrape(views)
    assert sample(samples, "driftline_http_requests_total", route="default", arm="upstream", role="served", code="200") == 10
    assert sample(samples, "driftline_client_connections") == 3


def test_buckets_become_cumulative_and_the_sum_seconds(views):
    samples = scrape(views)
    labels = {"route": "default", "arm": "upstream", "role": "served"}
    name = "driftline_http_request_duration_seconds"
    assert [sample(samples, f"{name}_bucket", le=bound, **labels) for bound in ("0.005", "0.01", "0.025", "10.0", "+Inf")] == [5, 5, 8, 8, 10]
    assert sample(samples, f"{name}_count", **labels) == 10
    assert sample(samples, f"{name}_sum", **labels) == 21.5


def test_drift_is_shown_per_model_and_feature(views):
    samples = scrape(views)
    assert sample(samples, "driftline_drift_firing", model="fraud") == 1
    assert sample(samples, "driftline_drift_evidence_ratio", model="fraud") == pytest.approx(12_300 / 4_320)
    assert sample(samples, "driftline_feature_effect", model="fraud", feature="mean area", statistic="wasserstein") == 0.28
    assert sample(samples, "driftline_feature_evidence_share_ratio", model="fraud", feature="mean area") == 0.62
    assert sample(samples, "driftline_baseline_rows", model="fraud", baseline_id="00ff00ff00ff00ff") == 5000
    assert sample(samples, "driftline_shadow_evidence_ratio", route="default", model="fraud", arm="shadow-1") == 0.1
    assert sample(samples, "driftline_shadow_firing", route="default", model="fraud", arm="shadow-1") == 0


def test_the_features_of_a_wide_model_are_bounded_to_the_heaviest(views, make_model, make_verdict, make_feature):
    features = [make_feature(f"f{index}", 0.9 if index == 0 else 0.0, 0.2) for index in range(500)]
    views.watched = [make_model(last_verdict=make_verdict(features=features))]
    shown = {dict(labels)["feature"] for name, labels in scrape(views) if name == "driftline_feature_evidence_share_ratio"}
    assert len(shown) == FEATURES_AT_MOST
    assert "f0" in shown


def test_only_declared_metrics_are_shown(views):
    declared = {metric.metric_name for metric in Metric}
    page, _ = MetricsPage(views).render("")
    shown = {line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")}
    assert shown < declared
    assert b"overflow" not in page


def test_every_number_is_one(views):
    assert not [key for key, value in scrape(views).items() if math.isnan(value)]


def test_label_values_that_clients_choose_cannot_break_the_page(views):
    hostile = 'a"b\\c\nd{}\x00é'
    views.counted[Metric.HTTP_REQUESTS.metric_name, hostile, "arm", "served", "200"] = 7
    assert sample(scrape(views), "driftline_http_requests_total", route=hostile, arm="arm", role="served", code="200") == 7


def test_the_time_of_the_previous_scrape_is_shown(views):
    page = MetricsPage(views)
    assert b"driftline_scrape_duration_seconds 0.0" in page.render("")[0]
    assert b"driftline_scrape_duration_seconds 0.0\n" not in page.render("")[0]


async def test_prometheus_gets_the_format_that_it_asks_for(client):
    plain = await client.get("/metrics")
    assert plain.content_type == "text/plain"
    open_metrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert open_metrics.content_type == "application/openmetrics-text"
    assert {family.name for family in parse_openmetrics(await open_metrics.text())} > {"driftline_exchanges_captured", "driftline_up"}


async def test_an_accept_header_that_makes_no_sense_gets_the_plain_page(client):
    for accept in ("text/plain; version=x", "application/openmetrics-text; version=", ";;,=", "application/openmetrics-text; version=9"):
        assert (await client.get("/metrics", headers={"Accept": accept})).status == 200


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_to_say(views):
    page, _ = MetricsPage(views).render("")
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_twenty_models_of_fifty_features_are_a_cheap_scrape(views, make_model, make_verdict, make_feature):
    features = [make_feature(f"feature {index}", 0.02, 0.2) for index in range(50)]
    views.watched = [make_model(f"model-{index}", last_verdict=make_verdict(f"model-{index}", features=features)) for index in range(20)]
    page = MetricsPage(views)
    seconds = []
    for _ in range(3):
        began = time.thread_time()
        page.render("")
        seconds.append(time.thread_time() - began)
    assert min(seconds) < 0.1


def test_a_bucket_shows_a_trace_where_openmetrics_is_asked_for(views):
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    name = f"{Metric.HTTP_REQUEST_DURATION.metric_name}_bucket"
    views.traced[name, "default", "upstream", "served", "0.025"] = TracedValue(trace_id=trace_id, value=0.02, at_seconds=1_763_640_000.0)
    page, _ = MetricsPage(views).render("application/openmetrics-text; version=1.0.0")
    exemplars = {sample.labels["le"]: sample.exemplar for family in parse_openmetrics(page.decode()) for sample in family.samples if sample.exemplar}
    assert {bound: (exemplar.labels, exemplar.value) for bound, exemplar in exemplars.items()} == {"0.025": ({"trace_id": trace_id}, 0.02)}
    plain, _ = MetricsPage(views).render("")
    assert trace_id.encode() not in plain
