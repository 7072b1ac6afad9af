"""What a replay adds up to."""

from driftline.replaying.report import Durations


def test_quantiles_of_many_durations_come_from_a_sample_that_does_not_grow():
    durations = Durations()
    for number in range(50_000):
        durations.add(number / 50_000)
    quantiles = durations.quantiles_ms()
    assert abs(quantiles["p50"] - 500) < 20
    assert abs(quantiles["p99"] - 990) < 10
    assert len(durations._sample) == 10_000


def test_without_durations_there_are_no_quantiles():
    assert Durations().quantiles_ms() == {}
