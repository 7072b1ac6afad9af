"""Segments and frames, byte by byte.

A segment is a file of fixed size, filled with zeros before use. It begins with a header of 64 bytes:

    offset  size  field
         0     8  magic "DRIFTSPL"
         8     4  format version (1)
        12     4  index of the segment within its writer, from 1
        16     8  sequence that the first record here will get; 0 while the segment is only prepared
        24    40  zeros

Frames follow, each beginning at a multiple of 8:

         0     4  length of the frame, this header included; 0 where nothing was written yet
         4     4  CRC-32 of everything after this field
         8     8  sequence of the record; for an outcome, of the record that it amends
        16     4  kind: 1 record, 2 outcome, 3 seal (the writer went on in the next segment)
        20     4  zeros
        24     …  payload: MessagePack of an Exchange or an Outcome; empty for a seal

All integers are little-endian and unsigned. A frame counts only when its CRC holds; a copy into the mapping that a kill
interrupted leaves a frame that does not. A segment without room for another frame header needs no seal.

Limits: a frame fits into one segment; 2**32 segments per writer; sequences up to 2**64.
Recovery is reading: a reader that meets a bad frame looks for the next good one, and the sequences tell what was lost.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from zlib_ng.zlib_ng import crc32

MAGIC: Final = b"DRIFTSPL"
VERSION: Final = 1
SEGMENT_HEADER: Final = struct.Struct("<8sIIQ")
SEGMENT_HEADER_BYTES: Final = 64
FRAME_HEADER: Final = struct.Struct("<IIQII")
FRAME_HEADER_BYTES: Final = FRAME_HEADER.size
SEGMENT_SUFFIX: Final = ".segment"
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


def pack_frame(sequence: int, kind: int, payload: bytes) -> bytes:
    """Return one frame, header and payload, without the zeros that align the next one."""
    return pack_frame_header(sequence, kind, payload) + payload


def pack_frame_header(sequence: int, kind: int, payload: bytes) -> bytes:
    """Return the header of the frame of this payload."""
    checked = _SEQUENCE_AND_KIND.pack(sequence, kind, 0)
    return _LENGTH_AND_CRC.pack(FRAME_HEADER_BYTES + len(payload), crc32(payload, crc32(checked))) + checked


def aligned(length: int) -> int:
    """Return `length` rounded up to where the next frame begins.

    >>> aligned(24), aligned(25)
    (24, 32)
    """
    return (length + 7) & ~7
