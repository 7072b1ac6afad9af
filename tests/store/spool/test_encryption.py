import pytest

from store.spool.cipher import UnknownKeyError
from store.spool.encryption import Keyring
from store.spool.format import CIPHER_OVERHEAD_BYTES, SEGMENT_HEADER
from store.spool.reader import SpoolReader
from tests.store.spool.workers import NO_LIMIT, Worker, read_all

NEW, OLD = ("2026-11", b"n" * 32), ("2026-10", b"o" * 32)


@pytest.fixture
def start(tmp_path):
    workers = []

    def start(name="w1", *, secrets=(NEW,), **settings):
        workers.append(Worker(tmp_path, name, keys=Keyring(secrets) if secrets else None, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.alive:
            worker.die()


def read(spool, *secrets):
    return read_all(SpoolReader(spool, {}, Keyring(secrets) if secrets else None))


def sequences(frames):
    return [frame.sequence for frame in frames]


def test_records_and_outcomes_are_read_as_they_were_and_nothing_of_them_is_on_the_disk(tmp_path, start):
    worker = start()
    for _ in range(20):
        worker.append_body(b"a secret that must not be found")
    outcome = worker.amend(7)
    frames, _, lost = read(tmp_path, NEW)
    assert [frame.payload for frame in frames] == [*worker.payloads.values(), outcome]
    assert lost == {}
    on_disk = b"".join(path.read_bytes() for path in worker.directory.iterdir())
    assert b"secret" not in on_disk
    assert b"client_left" not in on_disk


def test_large_records_are_read_as_they_were(tmp_path, start):
    worker = start(segment_bytes=1 << 20, thread=False)
    for body_bytes in (10, 5_000, 200_000, 10):
        worker.append(body_bytes)
    frames, _, lost = read(tmp_path, NEW)
    assert [frame.payload for frame in frames] == list(worker.payloads.values())
    assert lost == {}


def test_what_was_encrypted_with_an_old_key_or_not_at_all_is_read_too(tmp_path, start):
    for name, secrets in (("w1", (OLD,)), ("w2", ()), ("w3", (NEW, OLD))):
        start(name, secrets=secrets).fill(5)
    frames, _, lost = read(tmp_path, NEW, OLD)
    assert (len(frames), lost) == (15, {})


@pytest.mark.parametrize("secrets", [(), (OLD,)])
def test_without_the_key_records_wait_and_nothing_is_lost(tmp_path, start, caplog, secrets):
    start(secrets=(NEW,)).fill(30)
    start("w2", secrets=()).fill(3)
    frames, cursors, lost = read(tmp_path, *secrets)
    assert ([(frame.writer, frame.sequence) for frame in frames], lost) == ([("w2", 1), ("w2", 2), ("w2", 3)], {})
    assert cursors["w1"].sequence == 0
    assert "is encrypted" in caplog.text
    assert "spool.keys" in caplog.text
    assert str(tmp_path / "w1" / "00000001.segment") in caplog.text
    frames, _, lost = read_all(SpoolReader(tmp_path, cursors, Keyring([NEW])))
    assert (sequences(frames), lost) == (list(range(1, 31)), {})


def test_a_missing_key_is_said_once(tmp_path, start, caplog):
    start().fill(3)
    reader = SpoolReader(tmp_path, {})
    for _ in range(50):
        reader.read(10, NO_LIMIT)
    assert caplog.text.count("is encrypted") == 1


def test_a_damaged_frame_costs_one_record_as_without_encryption(tmp_path, start):
    worker = start()
    worker.fill(30)
    place = worker.place(11)
    worker.corrupt(place.segment, place.begin + 20)
    frames, _, lost = read(tmp_path, NEW)
    assert (sequences(frames), lost) == ([*range(1, 11), *range(12, 31)], {"w1": {"corrupt": 1}})


def test_a_damaged_key_header_costs_its_segment_and_is_not_taken_for_a_missing_key(tmp_path, start):
    worker = start()
    worker.fill(30)
    worker.corrupt(2, SEGMENT_HEADER.size + 3)
    frames, _, lost = read(tmp_path, NEW)
    gone = [place.sequence for place in worker.places if place.segment == 2]
    assert sequences(frames) == [sequence for sequence in range(1, 31) if sequence not in gone]
    assert lost == {"w1": {"corrupt": len(gone)}}


def test_no_two_frames_have_the_same_key_and_nonce():
    keyring = Keyring([NEW])
    segments = [keyring.begin() for _ in range(50)]
    assert len({header for header, _ in segments}) == 50
    _, cipher = segments[0]
    encrypted = [cipher.encrypt(b"the same", b"context") for _ in range(50)]
    assert len({one[:8] for one in encrypted}) == 50
    assert len({one[8:] for one in encrypted}) == 50


def test_a_frame_is_bound_to_its_segment_and_its_place():
    keyring = Keyring([NEW])
    header, cipher = keyring.begin()
    encrypted = cipher.encrypt(b"payload", b"here")
    assert len(encrypted) == len(b"payload") + CIPHER_OVERHEAD_BYTES
    assert keyring.resume(header).decrypt(encrypted, b"here") == b"payload"
    assert keyring.resume(header).decrypt(encrypted, b"there") is None
    assert keyring.resume(keyring.begin()[0]).decrypt(encrypted, b"here") is None
    assert keyring.resume(header).decrypt(b"short", b"here") is None


def test_a_key_that_is_not_at_hand_is_named_as_such():
    header, _ = Keyring([NEW]).begin()
    with pytest.raises(UnknownKeyError, match=r"none of spool.keys \(2026-10\)"):
        Keyring([OLD]).resume(header)
    assert Keyring([NEW, OLD]).resume(Keyring([OLD]).begin()[0]) is not None
