from bench.drain import measure
from bench.processes import CORES


def test_a_spool_is_drained_and_what_that_takes_is_told(tmp_path):
    figures = measure(tmp_path, 1 << 20)
    assert figures.exchanges == 10_000
    assert figures.spool_bytes >= 1 << 20
    assert 0 < figures.memory_before_bytes <= figures.memory_peak_bytes
    assert 1 < figures.cpu_us_per_exchange < 1e6 * figures.seconds * len(CORES) / figures.exchanges
