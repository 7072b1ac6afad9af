import random

import pytest

from bench.crashes import Outcome, broken, crash


@pytest.mark.timeout(400)
async def test_every_exchange_that_a_client_saw_answered_is_stored_once_though_anything_may_be_killed(tmp_path):
    outcome = await crash(tmp_path, 10, random.Random(7))
    assert broken(outcome) == []
    assert sum(outcome.kills.values()) == 10
    assert outcome.dropped == {}


def test_what_is_lost_or_doubled_is_said():
    outcome = Outcome(1.0, {"worker": 1}, 10, 9, 9, 1, 2, 9, {}, 0, 5, 0)
    assert broken(outcome) == ["1 exchanges that clients saw answered are not in the store", "2 exchanges are in the store more than once"]
