from bench.scrape import measure, report


def test_a_scrape_has_all_features_and_its_cost():
    cost = measure(20, 50, rounds=1)
    assert cost.samples > 20 * 50 * 8
    assert cost.milliseconds > 0
    assert "20 models of 50 features" in report([cost])
