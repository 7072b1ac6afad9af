from bench.risk import BASELINE_ROWS, RATES, TRAFFIC, report, run


def test_every_kind_of_traffic_has_its_false_alerts_and_every_rate_its_delay():
    figures = run(baselines=1, windows=4, draws=1)
    assert (len(figures.false_alerts), len(figures.delays)) == (len(TRAFFIC) * len(BASELINE_ROWS), len(RATES) * len(BASELINE_ROWS))
    assert all(each.labels is not None for each in figures.delays if each.rate == RATES[-1])
    assert "an error rate that wanders" in report(figures)
