from bench.scale import Costs, report

COSTS = Costs(proxy_us=20.0, monitor_us=80.0, window_ms=7.0, model_bytes=1e6, baseline_ms=1_000.0, stored_bytes=1_000.0)


def test_a_thousand_pods_take_a_thousand_times_what_one_takes():
    fleet = report(COSTS, [1, 1_000]).splitlines()[-2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in fleet]
    assert cells[0] == ["1", "100", "0.00", "0.01", "1.0%", "9", "2"]
    assert cells[1] == ["1,000", "100,000", "2.00", "8.00", "1.0%", "8,640", "2,000"]
