import threading

from store.spool.listing import segment_indexes, spool_bytes, writer_names


def test_writers_are_directories_and_oldest_first(tmp_path):
    for name in ("20260102-w1", "20260101-w2"):
        (tmp_path / name).mkdir()
    (tmp_path / "loader.state").touch()
    assert writer_names(tmp_path) == ["20260101-w2", "20260102-w1"]


def test_segments_are_listed_by_number_and_other_files_are_not(tmp_path):
    for name in ("00000009.segment", "00000010.segment", "100000000.segment", "ledger", "copy.segment"):
        (tmp_path / name).touch()
    assert segment_indexes(tmp_path) == [9, 10, 100000000]


def test_what_is_not_there_is_empty(tmp_path):
    absent = tmp_path / "absent"
    assert (writer_names(absent), segment_indexes(absent), spool_bytes(absent)) == ([], [], 0)


def test_only_segments_count_as_space_of_the_spool(tmp_path):
    for writer, name, size in (("w1", "00000001.segment", 10), ("w1", "ledger", 1000), ("w2", "00000001.segment", 5)):
        (tmp_path / writer).mkdir(exist_ok=True)
        (tmp_path / writer / name).write_bytes(bytes(size))
    assert spool_bytes(tmp_path) == 15


def test_files_that_vanish_while_they_are_added_up_are_left_out(tmp_path):
    (tmp_path / "w1").mkdir()
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            path = tmp_path / "w1" / "00000001.segment"
            path.write_bytes(bytes(8))
            path.unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    sizes = {spool_bytes(tmp_path) for _ in range(300)}
    stop.set()
    thread.join()
    assert sizes <= {0, 8}
