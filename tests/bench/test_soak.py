import subprocess
import sys
from pathlib import Path

from bench.soak import Asked, Held, Killed, Outcome, Watched, broken, summarize

ROOT = Path(__file__).parents[2]
KILLED = [Killed("worker", 100.0)]


def asked(began: float, ended: float, failure: str = "") -> Asked:
    return Asked("GET", True, began, ended, failure)


def outcome(**differences) -> Outcome:
    rows, failures = summarize([asked(90, 91)], KILLED)
    held = Held(20_000_000, 15, 5)
    watched = Watched("worker", held, 20_000_000, 20_000_000, held)
    return Outcome(**{"seconds": 20.0, "rows": rows, "kills": {"worker": 1}, "failures": failures, "watched": [watched], "zombies": 0, **differences})


def test_half_a_minute_of_kills_fails_only_what_was_in_flight_and_leaves_nothing_over():
    finished = subprocess.run([sys.executable, "-m", "bench.soak", "--duration", "22s"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "2 × worker, 1 × upstream" in finished.stdout


def test_a_failure_is_explained_by_a_kill_while_it_was_in_flight_and_by_nothing_else():
    requests = [asked(99, 100.1, "reset"), asked(98, 99.5, "reset"), asked(101, 101.1, "502"), asked(99, 110, "502")]
    (row,), failures = summarize(requests, KILLED)
    assert (row.answered, row.failed_in_flight, row.failed_otherwise) == (0, 1, 3)
    assert failures == {"reset": 1, "502": 2}


def test_failures_descriptors_memory_and_zombies_break_the_run():
    assert broken(outcome()) == []
    held, more = Held(20_000_000, 15, 5), Held(20_000_000, 40, 30)
    for differences, word in (
        ({"failures": {"502": 3}}, "502"),
        ({"rows": summarize([asked(99, 100.1, "reset")], KILLED)[0]}, "no GET"),
        ({"watched": [Watched("worker", held, 20_000_000, 20_000_000, more)]}, "descriptors"),
        ({"watched": [Watched("worker", held, 20_000_000, 60_000_000, held)]}, "grew"),
        ({"zombies": 1}, "children"),
    ):
        (fault,) = broken(outcome(**differences))
        assert word in fault
