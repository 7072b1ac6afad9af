from config.model import InstanceSettings
from config.units import Seconds
from runtime.scaling import Scaling

SETTINGS = InstanceSettings(minimum=1, maximum=3, queue_delay=Seconds(0.05))


def test_requests_that_wait_too_long_get_one_more_instance_up_to_the_maximum() -> None:
    scaling = Scaling(SETTINGS)
    assert [scaling.wanted(instances, 0.2, 1.0) for instances in (1, 2, 3)] == [2, 3, 3]
    assert scaling.delay_ratio == 4


def test_a_quiet_while_takes_one_away_down_to_the_minimum() -> None:
    scaling = Scaling(SETTINGS)
    wanted = [scaling.wanted(3, 0.0, 0.1) for _ in range(30)]
    assert wanted == [3] * 29 + [2]
    assert [scaling.wanted(1, 0.0, 0.0) for _ in range(60)] == [1] * 60


def test_instances_that_are_needed_stay_although_nobody_waits() -> None:
    scaling = Scaling(SETTINGS)
    assert {scaling.wanted(2, 0.0, 0.6) for _ in range(100)} == {2}


def test_one_wait_begins_the_quiet_anew() -> None:
    scaling = Scaling(SETTINGS)
    for _ in range(29):
        scaling.wanted(2, 0.0, 0.0)
    assert scaling.wanted(2, 0.03, 0.0) == 2
    assert scaling.wanted(2, 0.0, 0.0) == 2
