from hypothesis import given
from hypothesis import strategies as st

from store.spool.format import FrameKind, aligned, pack_frame
from store.spool.salvage import find_frame

kinds = st.sampled_from([FrameKind.RECORD, FrameKind.OUTCOME])


def pad(data: bytes) -> bytes:
    return data + bytes(aligned(len(data)) - len(data))


@given(st.binary(max_size=400), st.integers(1, 2**40), kinds, st.binary(max_size=100), st.binary(max_size=100))
def test_a_good_frame_is_found_behind_any_bytes(noise, sequence, kind, payload, rest):
    before = pad(noise)
    found = find_frame(before + pad(pack_frame(1, sequence, kind, payload)) + rest, 0, sequence, 1)
    assert found is not None
    assert found.offset == len(before)
    assert found.passed == (sequence - 1 if kind == FrameKind.RECORD else sequence)


@given(st.binary(max_size=200), st.data())
def test_a_frame_with_one_changed_byte_is_not_found(payload, data):
    frame = bytearray(pack_frame(1, 7, FrameKind.RECORD, payload))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    assert find_frame(bytes(frame), 0, 100, 1) is None


@given(st.binary(max_size=2000))
def test_noise_holds_no_frame(noise):
    assert find_frame(noise, 0, 2**64, 1) is None


def test_a_record_that_was_already_passed_or_lies_beyond_the_promise_is_not_believed():
    frame = pack_frame(1, 7, FrameKind.RECORD, b"x")
    assert [last for last in range(5, 9) if find_frame(frame, last, 100, 1)] == [5, 6]
    assert [most for most in range(4, 9) if find_frame(frame, 0, most, 1)] == [6, 7, 8]


def test_an_outcome_of_an_earlier_record_moves_nothing():
    found = find_frame(pack_frame(1, 3, FrameKind.OUTCOME, b"x"), 9, 12, 1)
    assert found is not None
    assert found.passed == 9


def test_the_first_of_several_good_frames_is_found():
    frames = [pad(pack_frame(1, sequence, kind, b"payload")) for sequence, kind in ((4, FrameKind.OUTCOME), (5, FrameKind.RECORD), (5, FrameKind.OUTCOME))]
    assert find_frame(b"".join(frames), 4, 9, 1).offset == 0
    assert find_frame(bytes(8) + b"".join(frames[1:]), 4, 9, 1).offset == 8


def test_a_frame_that_is_not_aligned_is_not_one():
    assert find_frame(bytes(4) + pack_frame(1, 7, FrameKind.RECORD, b"x"), 0, 100, 1) is None
