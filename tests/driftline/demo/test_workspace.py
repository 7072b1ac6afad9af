from driftline.demo.workspace import workspace


def test_a_finished_run_stays_for_looking_until_the_next_one(tmp_path):
    with workspace(tmp_path) as first:
        (first / "driftline.log").write_text("said")
    assert (first / "driftline.log").exists()
    with workspace(tmp_path) as second:
        assert not first.exists()
        assert list(tmp_path.iterdir()) == [second]


def test_a_run_that_goes_on_is_left_alone(tmp_path):
    with workspace(tmp_path) as first, workspace(tmp_path) as second:
        assert first.exists()
        assert first != second


def test_other_directories_are_left_alone(tmp_path):
    (tmp_path / "other").mkdir()
    with workspace(tmp_path):
        assert (tmp_path / "other").exists()
