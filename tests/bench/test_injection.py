import json

from bench.injection import PODS, Figures, Idle, Reviews, measure_reviews, report


async def test_reviews_of_every_kind_of_pod_are_measured():
    measured = await measure_reviews(rounds=2)
    assert [each.pod for each in measured] == list(PODS)
    assert all(each.p99_milliseconds >= each.p50_milliseconds > 0 for each in measured)
    assert all(json.loads(body)["request"]["operation"] == "CREATE" for body in PODS.values())


def test_the_report_says_what_was_kept():
    shown = report(Figures([Reviews("one", 2, 1.0, 21.0)], Idle(5.0, 42.0, 0.002)))
    assert "21.0 ms at p99 (promised: under 20), NOT kept" in shown
    assert "42 MB resident (promised: under 60), kept" in shown
    assert "0.20% of a core (promised: under 1%), kept" in shown
