"""The state table that requests and replies share: a head, a body by its framing, an end.

`receive` takes bytes as they come; `next_event` returns what they say, one event at a time:

    a head        `RequestHead` or `ReplyHead`
    bytes         a piece of the body, transfer coding removed, as it came
    END           the message is whole; nothing more is read until `start_next`
    NEED_DATA     nothing more can be said before `receive`

Bytes behind a message stay unread until `start_next`, so that a pipelined request waits its turn in the buffer.

`receive_whole` is the short way for the common case: one read that holds exactly one message.

Heads repeat: a client sends the same fields with most of its requests, and so does a server. Parsing is a pure function of a head's bytes, so
the last hundred or so results are remembered; a head that is not among them costs what it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Generic, TypeAlias, TypeVar

from http1.grammar import CHUNK_LINE, FIELD_SECTION, STRAY_CONTROL

MAX_CHUNK_LINE_BYTES: Final = 4096

REMEMBERED_HEADS: Final = 128
REMEMBERED_HEAD_BYTES: Final = 1024
"""Longer heads are parsed anew each time, which bounds what is remembered to a few megabytes."""

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2
ANOTHER_HEAD: Final = -3


class MessageHead:
    """What the reader needs to know of a head. A base class, so that looking at it compiles to a direct access."""

    __slots__ = ("body_length",)

    body_length: int
    """Bytes of the body that follows; CHUNKED or UNTIL_CLOSE where only its end tells; ANOTHER_HEAD behind an interim reply.
    As the fields have it: a reply to HEAD has no body all the same."""


Head = TypeVar("Head", bound=MessageHead)


class Signal(Enum):
    """Events that carry nothing."""

    END = "end"
    NEED_DATA = "need_data"


END: Final = Signal.END
NEED_DATA: Final = Signal.NEED_DATA


class HeadParser(Generic[Head]):
    """Parses the heads of one direction, for all its readers, and remembers the last results."""

    __slots__ = ("_last", "_last_section", "_parse", "remembered")

    remembered: dict[bytes, Head]
    """By a head's bytes, the oldest first. A dict and not `lru_cache`, which costs more to call than a look-up."""

    def __init__(self, parse: Callable[[bytes], Head]) -> None:
        """`parse` takes a head without the end of its last line, is pure, and may raise WireError."""
        self._parse = parse
        self.remembered = {}
        self._last: Head | None = None
        self._last_section = b""

    def parse(self, section: bytes) -> Head:
        """Return the head that these bytes are. Raises WireError."""
        last = self._last
        if last is not None and section == self._last_section:
            return last  # most are equal to the one before, and comparing costs less than hashing
        head = self.remembered.get(section)
        if head is None:
            head = self._parse(section)
            if len(section) > REMEMBERED_HEAD_BYTES:
                return head
            self._remember(section, head)
        self._last, self._last_section = head, section
        return head

    def _remember(self, section: bytes, head: Head) -> None:
        """Remember a head in the place of the oldest."""
        remembered = self.remembered
        if len(remembered) >= REMEMBERED_HEADS:
            del remembered[next(iter(remembered))]
        remembered[section] = head


Event: TypeAlias = Head | bytes | Signal

Content: TypeAlias = bytes | memoryview
"""A whole body that came in one read with its head: a small one as bytes, to be copied; a large one as a view of what was read."""

_VIEWED_FROM_BYTES: Final = 16 * 1024
"""Copying less costs less than a view."""


class WireError(Exception):
    """A message that breaks the rules. `status` is what a server answers for a request like that."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


# What the next bytes are. Plain integers, since each is looked up several times per message.
_HEAD: Final = 0
_LENGTH: Final = 1
_CHUNK_LINE: Final = 2
_CHUNK_DATA: Final = 3
_CHUNK_END: Final = 4
_TRAILERS: Final = 5
_UNTIL_CLOSE: Final = 6
_DONE: Final = 7
_PARSED: Final = 8  # a head that was read ahead, and what follows it

_EMPTY_LINE: Final = b"\r\n\r\n"
"""With the end of the line before it."""


class Reader(Generic[Head]):
    """Reads messages of one direction of one connection. Subclasses say what a head is and how it frames its body."""

    __slots__ = ("_at", "_buffer", "_max_head_bytes", "_parsed", "_parser", "_remaining", "_searched", "_state", "bodiless", "trailers")

    bodiless: bool
    """The next message has no body whatever its head announces: a reply to HEAD (RFC 9112 §6.3)."""

    trailers: bytes
    """The trailer section of the last chunked body, checked, as it came; empty where there was none."""

    def __init__(self, max_head_bytes: int, parser: HeadParser[Head]) -> None:
        self._parser = parser
        self.bodiless = False
        self._max_head_bytes = max_head_bytes
        self._buffer = b""
        self._at = 0
        self._searched = 0
        self._state = _HEAD
        self._remaining = 0
        self._parsed: Head | None = None
        self.trailers = b""

    @property
    def idle(self) -> bool:
        """Between messages, with nothing of the next one received."""
        return self._state == _HEAD and self._at == len(self._buffer)

    @property
    def buffered_bytes(self) -> int:
        """Bytes received and not yet said."""
        return len(self._buffer) - self._at

    def receive(self, data: bytes) -> None:
        """Take what the connection gave."""
        if self._at == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._at :] + data
        self._searched -= self._at
        self._at = 0

    def next_event(self) -> Event[Head]:
        """Return the next event. Raises WireError where the message breaks the rules; the reader is of no use after that."""
        state = self._state
        if state == _HEAD:
            return self._read_head()
        if state == _LENGTH:
            return self._read_length()
        if state == _CHUNK_LINE:
            return self._read_chunk_line()
        if state == _CHUNK_DATA:
            return self._read_chunk_data()
        if state == _CHUNK_END:
            return self._read_chunk_end()
        if state == _TRAILERS:
            return self._read_trailers()
        if state == _UNTIL_CLOSE:
            return self._read_until_close()
        if state == _PARSED:
            return self._take_parsed()
        return END

    def receive_eof(self) -> Signal:
        """The peer will send no more: END where that completes the message, NEED_DATA where nothing had begun. Raises WireError where it cuts one."""
        if self._state == _UNTIL_CLOSE:
            self._state = _DONE
            return END
        if self.idle or self._state == _DONE:
            return NEED_DATA
        raise WireError(400, "the connection closed in the middle of a message")

    def take_rest(self) -> bytes:
        """Return what was received and not yet said: bytes of another protocol."""
        rest = self._buffer[self._at :]
        self._at = len(self._buffer)
        return rest

    def receive_whole(self, data: bytes) -> tuple[Head, Content] | None:
        """Return head and body where nothing was waiting and `data` is exactly one message; else take it as `receive` does, and return None.

        The reader is then ready for the next message at once. Raises WireError.
        """
        if self._state == _HEAD and self._at == len(self._buffer):
            section, rest = _parted(data)
            if 0 < len(section) <= self._max_head_bytes and not section.startswith(b"\r\n"):
                head = self._parser.parse(section)
                if (0 if self.bodiless and head.body_length != ANOTHER_HEAD else head.body_length) == len(rest):
                    return head, rest
                self._state, self._parsed = _PARSED, head
                self._buffer, self._at, self._searched = data, len(section) + len(_EMPTY_LINE), 0
                return None
        self.receive(data)
        return None

    def start_next(self) -> bool:
        """Go on to the message after this one; return whether something of it was received already."""
        self._state = _HEAD
        self._searched = self._at
        self.trailers = b""
        return self._at < len(self._buffer)

    def too_large(self) -> WireError:
        """Return the error for a head over the limit."""
        raise NotImplementedError

    def _section_end(self) -> int:
        """Return where the empty line begins that ends the section at the buffer's start; −1 while it is incomplete."""
        end = self._buffer.find(_EMPTY_LINE, max(self._searched - 3, self._at))
        if (end if end >= 0 else len(self._buffer)) - self._at > self._max_head_bytes:
            raise self.too_large()
        if end < 0:
            checked = max(self._searched - 1, self._at)  # of a CR at the end only what follows it tells
            self._searched = len(self._buffer)
            if STRAY_CONTROL.search(self._buffer, checked):
                raise WireError(400, "a line of the head is not ended by CR LF, or has control characters")
        return end

    def _read_head(self) -> Event[Head]:
        self._skip_empty_lines()
        if self._at == len(self._buffer):
            return NEED_DATA
        end = self._section_end()
        if end < 0:
            return NEED_DATA
        section = self._buffer[self._at : end]
        head = self._parser.parse(section)
        self._at = end + 4
        self._expect_body(head.body_length)
        return head

    def _take_parsed(self) -> Event[Head]:
        head, self._parsed = self._parsed, None
        assert head is not None
        self._state = _HEAD
        self._expect_body(head.body_length)
        return head

    def _skip_empty_lines(self) -> None:
        """RFC 9112 §2.2: a server ignores empty lines before a request line."""
        while self._buffer.startswith(b"\r\n", self._at):
            self._at += 2

    def _expect_body(self, length: int) -> None:
        if self.bodiless and length != ANOTHER_HEAD:
            self._state = _DONE
        elif length == CHUNKED:
            self._state = _CHUNK_LINE
        elif length == UNTIL_CLOSE:
            self._state = _UNTIL_CLOSE
        elif length > 0:
            self._state = _LENGTH
            self._remaining = length
        elif length == 0:
            self._state = _DONE

    def _read_length(self) -> Event[Head]:
        piece = self._take(self._remaining)
        if not piece:
            return NEED_DATA
        self._remaining -= len(piece)
        if not self._remaining:
            self._state = _DONE
        return piece

    def _read_chunk_line(self) -> Event[Head]:
        end = self._buffer.find(b"\n", self._at)
        if (end if end >= 0 else len(self._buffer)) - self._at > MAX_CHUNK_LINE_BYTES:
            raise WireError(400, "a chunk's size line is too long")
        if end < 0:
            if STRAY_CONTROL.search(self._buffer, self._at):
                raise WireError(400, "a chunk's size line has control characters")
            return NEED_DATA
        line = CHUNK_LINE.fullmatch(self._buffer, self._at, end + 1)
        if line is None:
            raise WireError(400, "a chunk's size line is malformed")
        self._at = end + 1
        self._remaining = int(line[1], 16)
        self._state = _CHUNK_DATA if self._remaining else _TRAILERS
        self._searched = self._at
        return self.next_event()

    def _read_chunk_data(self) -> Event[Head]:
        piece = self._take(self._remaining)
        if not piece:
            return NEED_DATA
        self._remaining -= len(piece)
        if not self._remaining:
            self._state = _CHUNK_END
        return piece

    def _read_chunk_end(self) -> Event[Head]:
        ending = self._buffer[self._at : self._at + 2]
        if ending == b"\r\n":
            self._at += 2
            self._state = _CHUNK_LINE
            return self.next_event()
        if ending in {b"", b"\r"}:
            return NEED_DATA
        raise WireError(400, "a chunk is longer than its size says")

    def _read_trailers(self) -> Event[Head]:
        if self._buffer.startswith(b"\r\n", self._at):
            self._at += 2
            self._state = _DONE
            return END
        end = self._section_end()
        if end < 0:
            return NEED_DATA
        self.trailers = self._buffer[self._at : end + 2]
        if not FIELD_SECTION.match(self.trailers):
            raise WireError(400, "the trailer section is malformed")
        self._at = end + 4
        self._state = _DONE
        return END

    def _read_until_close(self) -> Event[Head]:
        return self._take(len(self._buffer)) or NEED_DATA

    def _take(self, limit: int) -> bytes:
        """Return at most `limit` unread bytes, without copying where they are all there is."""
        at, end = self._at, min(self._at + limit, len(self._buffer))
        self._at = end
        return self._buffer if at == 0 and end == len(self._buffer) else self._buffer[at:end]


def _parted(data: bytes) -> tuple[bytes, Content]:
    """Return the head without the end of its last line, and what follows it; an empty head where it is not whole."""
    if len(data) < _VIEWED_FROM_BYTES:
        section, empty_line, rest = data.partition(_EMPTY_LINE)
        return (section if empty_line else b""), rest
    end = data.find(_EMPTY_LINE)
    return data[: max(end, 0)], memoryview(data)[end + len(_EMPTY_LINE) :]
