"""Segments and frames, byte by byte.

A segment is a file of fixed size: a new one, or one that held an earlier segment which nobody needs any more. It begins with a header of 64 bytes:

    offset  size  field
         0     8  magic "DRIFTSPL"
         8     4  format version (2)
        12     4  index of the segment within its writer, from 1
        16     8  sequence that the first record here will get; 0 while the segment is only prepared
        24     8  id of the key with which frames here are encrypted; zeros where they are not, as in the next fields
        32    24  salt with which the segment's own key is derived from it
        56     4  CRC-32 of the two
        60     4  zeros

Frames follow, each beginning at a multiple of 8, and behind the last one eight zeros, as far as there is room:

         0     4  length of the frame, this header included; 0 where nothing was written yet
         4     4  CRC-32 of everything after this field, begun with the segment's index instead of 0
         8     8  sequence of the record; for an outcome, of the record that it amends
        16     4  kind: 1 record, 2 outcome, 3 seal (the writer went on in the next segment); 256 more where the payload is encrypted
        20     4  zeros
        24     …  payload: MessagePack of an Exchange or an Outcome; empty for a seal; encrypted as `store.spool.encryption` says

All integers are little-endian and unsigned. A frame counts only when its CRC holds; a copy into the mapping that a kill
interrupted leaves a frame that does not, and so do those of an earlier segment in the same file. A segment without room for another frame
header needs no seal. In version 1 files were never used again, and CRCs begun with 0.

Limits: a frame fits into one segment; 2**32 segments per writer; sequences up to 2**64.
Recovery is reading: a reader that meets a bad frame looks for the next good one, and the sequences tell what was lost.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from zlib_ng.zlib_ng import crc32

MAGIC: Final = b"DRIFTSPL"
VERSION: Final = 2
READABLE_VERSIONS: Final = frozenset({1, 2})
SEGMENT_HEADER: Final = struct.Struct("<8sIIQ")
SEGMENT_HEADER_BYTES: Final = 64
KEY_HEADER: Final = struct.Struct("<8s24sI4x")
"""What a segment's header says about its key, behind the rest of it."""
FRAME_HEADER: Final = struct.Struct("<IIQII")
FRAME_HEADER_BYTES: Final = FRAME_HEADER.size
ENCRYPTED: Final = 0x100
"""Added to a frame's kind."""
CIPHER_OVERHEAD_BYTES: Final = 24
"""By how much encryption makes a payload longer: a counter and a tag."""
SEGMENT_SUFFIX: Final = ".segment"
SPARE_SUFFIX: Final = ".spare"
"""What a segment's file is called instead once every consumer has passed it and its writer may use it again."""
END_OF_FRAMES: Final = bytes(8)
LEDGER_NAME: Final = "ledger"

_LENGTH_AND_CRC = struct.Struct("<II")
_SEQUENCE_AND_KIND = struct.Struct("<QII")


class FrameKind(IntEnum):
    """What a frame's payload is."""

    RECORD = 1
    OUTCOME = 2
    SEAL = 3


def segment_name(index: int) -> str:
    """Return the file name of a writer's segment, counted from 1.

    >>> segment_name(12)
    '00000012.segment'
    """
    return f"{index:08d}{SEGMENT_SUFFIX}"


def pack_segment_header(index: int, first_sequence: int) -> bytes:
    """Return a segment's first bytes; `first_sequence` is 0 while the segment is only prepared."""
    return SEGMENT_HEADER.pack(MAGIC, VERSION, index, first_sequence)


def crc_start(index: int, version: int) -> int:
    """Return with what the CRCs in the segment of this index begin, by a writer of this format's version."""
    return index if version > 1 else 0


def frame_context(sequence: int, kind: int) -> bytes:
    """Return what of a frame's header its CRC covers, and its encryption is bound to."""
    return _SEQUENCE_AND_KIND.pack(sequence, kind, 0)


def pack_frame(index: int, sequence: int, kind: int, payload: bytes) -> bytes:
    """Return one frame in the segment of this index, header and payload, without the zeros that align the next one."""
    return pack_frame_header(index, sequence, kind, [payload]) + payload


def pack_frame_header(index: int, sequence: int, kind: int, payload: Sequence[bytes]) -> bytes:
    """Return the header of the frame of a payload in pieces, in the segment of this index."""
    checked = frame_context(sequence, kind)
    crc, size = crc32(checked, index), FRAME_HEADER_BYTES
    for piece in payload:
        crc = crc32(piece, crc)
        size += len(piece)
    return _LENGTH_AND_CRC.pack(size, crc) + checked


def aligned(length: int) -> int:
    """Return `length` rounded up to where the next frame begins.

    >>> aligned(24), aligned(25)
    (24, 32)
    """
    return (length + 7) & ~7
