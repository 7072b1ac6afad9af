from bench.labels import report, run


def test_every_label_is_joined_and_has_its_cost():
    costs = run(exchanges=50, labels=20)
    assert [(cost.named_by, cost.labels) for cost in costs] == [("request_id", 20), ("exchange_id", 20)]
    assert all(cost.join_us > 0 for cost in costs)
    assert "`exchange_id`" in report(costs)
