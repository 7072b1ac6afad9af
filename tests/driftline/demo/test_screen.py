import io

import pytest
from rich.console import Console

from driftline.demo.screen import WIDTH, LiveScreen, PlainScreen, Snapshot, print_story, render
from driftline.demo.traffic import Latency
from driftline.demo.webhook import Received
from records.status import AgreementStatus, Counts

EARLY = Snapshot(
    elapsed_seconds=0.4,
    requests=0,
    planned=30_000,
    failed=0,
    drift_began=False,
    latency_added=None,
    counts=Counts(captured=0, stored=0, dropped={}, pending=0),
    agreement=None,
    evidence=(),
    threshold=0.0,
    alerts=(),
)
LATE = EARLY._replace(
    elapsed_seconds=34.0,
    requests=17_000,
    drift_began=True,
    latency_added=Latency(0.21, 0.66),
    counts=Counts(captured=34_000, stored=33_100, dropped={"spool_full": 5}, pending=895),
    agreement=AgreementStatus(route="default", arm="shadow-1", model="fraud", compared=16_900, agreed=15_750),
    evidence=(0.3, 0.8, 0.2, 55.0, 1e15),
    threshold=4_320.0,
    alerts=(Received(1.0, "ModelDataDrift", "tumour", ("mean area", "worst area"), "drifted"),),
)


def drawn(snapshot, width=120):
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(render(snapshot))
    return console.export_text()


def test_the_live_table_shows_every_number_of_the_run():
    text = drawn(LATE)
    for shown in (
        "17,000 of 30,000",
        "0 failed",
        "57%",
        "p50 +0.21 ms · p99 +0.66 ms",
        "captured 34,000 = stored 33,100 + dropped 5 + pending 895",
        "agrees in 93.2% of 16,900",
        "an alert needs 4,320",
        "ModelDataDrift: mean area, worst area",
    ):
        assert shown in text


def test_counts_that_do_not_add_up_are_shown_as_unequal():
    assert "captured 34,001 ≠ stored 33,100" in drawn(LATE._replace(counts=Counts(captured=34_001, stored=33_100, dropped={"spool_full": 5}, pending=895)))


def test_evidence_is_drawn_as_one_block_per_window_full_at_the_threshold():
    assert "▁▁▁▄█" in drawn(LATE)


@pytest.mark.parametrize("width", [120, 80])
@pytest.mark.parametrize(
    "snapshot", [EARLY, EARLY._replace(threshold=4_320.0), LATE, LATE._replace(evidence=tuple(float(n) for n in range(500)), threshold=500.0)]
)
def test_every_state_fits_into_its_frame(snapshot, width):
    lines = drawn(snapshot, width).splitlines()
    assert {len(line) for line in lines if line} == {min(width, WIDTH)}
    assert "…" not in "".join(lines)


def test_plain_lines_are_about_a_dozen_whatever_the_length():
    output = io.StringIO()
    with PlainScreen(Console(file=output, width=40)) as screen:
        screen.step("training")
        for requests in range(0, 30_001, 100):
            screen.show(LATE._replace(requests=requests))
    lines = output.getvalue().splitlines()
    assert lines[0] == "training"
    assert len(lines) == 13
    assert lines[-1].startswith("34 s, 30,000 of 30,000 requests, 0 failed, latency added p50 +0.21 ms")


def test_the_live_screen_leaves_its_last_state_in_sight():
    output = io.StringIO()
    with LiveScreen(Console(file=output, width=120, force_terminal=True)) as screen:
        screen.step("training")
        screen.show(LATE)
    assert "ModelDataDrift" in output.getvalue()


def test_the_last_line_of_the_story_can_be_copied_from_a_narrow_terminal():
    output = io.StringIO()
    command = "driftline sql --data-dir /tmp/driftline-demo-12345678/data --format Vertical 'SELECT * FROM alerts'"
    print_story(Console(file=output, width=40), [("What drifted", "word " * 30), ("Where to look", command)], succeeded=True)
    lines = output.getvalue().splitlines()
    assert lines[-1] == f"Where to look  {command}"
    assert all(len(line) <= 40 for line in lines[:-1])
