"""Some of the points of `python -m bench.crash_points`, which dies at all of them."""

from __future__ import annotations

import pytest

from bench.crash_points import AMENDED, RECORDS, Outcomes, faults, run
from bench.processes import find_program

pytestmark = pytest.mark.skipif(find_program("strace") is None, reason="strace is not installed")


@pytest.mark.parametrize("where", ["embedded", "server"])
def test_a_loader_killed_as_it_enters_a_system_call_leaves_every_row_stored_once(where, tmp_path, request):
    url = request.getfixturevalue("server").url if where == "server" else ""
    outcomes = run(tmp_path, url=url, most=6)
    assert (outcomes.tried, outcomes.wrong) == (6, [])
    assert outcomes.points > 100
    assert outcomes.killed > 3  # threads do not make as many calls in every life


def test_what_a_death_left_wrong_is_said_by_position():
    found = {"exchanges": [1, 2, 2, *range(4, RECORDS + 1)], "outcomes": [*AMENDED], "stored": RECORDS - 1, "dropped": {}}
    assert faults(found) == f"exchanges: too often [2], missing [3]; stored: {RECORDS - 1} and not {RECORDS}"
    assert faults({"exchanges": [*range(1, RECORDS + 1)], "outcomes": [*AMENDED], "stored": RECORDS, "dropped": {}}) == ""


def test_a_death_that_left_something_wrong_is_told():
    outcomes = Outcomes("embedded", points=900, tried=2, killed=2, wrong=["write 3: exchanges: too often [2], missing []"])
    assert outcomes.sentence == "embedded: 900 points at which to die, 2 tried, 2 deaths; 1 left something wrong"
