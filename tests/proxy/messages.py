"""Hypothesis strategies: arbitrary valid messages as bytes, and what goes wrong with them on the way."""

from __future__ import annotations

from hypothesis import strategies as st

_TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_!#$%&'*+.^`|~"
_OF_ONE_HOP = [("Keep-Alive", "timeout=5"), ("Proxy-Connection", "x"), ("Via", "1.0 a"), ("X-Forwarded-For", "10.0.0.1"), ("Upgrade", "websocket")]
_OF_ONE_HOP += [("Upgrade", "h2c"), ("TE", "trailers"), ("Trailer", "X-Sum"), ("X-Request-Id", "order-7"), ("X-Forwarded-Proto", "https")]
_FRAMING = {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer", "x-request-id"}

token = st.text(_TOKEN, min_size=1, max_size=10)
name = token.filter(lambda text: text.lower() not in _FRAMING)
value = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=24),
    st.text(st.characters(min_codepoint=0x80, max_codepoint=0xFF), min_size=1, max_size=4),
).map(str.strip)
target = st.one_of(
    st.text("abc/?=&%20-._~:@!$'()*+,;", max_size=20).map(lambda text: "/" + text),
    st.sampled_from(["/", "/a//b/../c", "/%2F%0d%0a", "http://example.com/x?y", "http://other:81", "http://h?q"]),
)
method = st.one_of(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"]), token.filter(lambda text: text not in {"CONNECT", "HEAD"})
)
white = st.sampled_from(["", " ", "\t", "  "])
body = st.one_of(st.binary(max_size=80), st.integers(1000, 100_000).map(lambda size: b"0123456789abcdef" * (size // 16)))
extension = st.sampled_from(["", ";a", ";a=b", ' ; a = "b;\\"c"', ';a="\\\\";b'])


@st.composite
def field_lines(draw, least=0):
    """Fields of any kind, repeated ones among them, and a Connection field that names some."""
    fields = draw(st.lists(st.tuples(name, value), min_size=least, max_size=5))
    if fields and draw(st.booleans()):
        fields.append((draw(st.sampled_from(fields))[0].swapcase(), draw(value)))
    fields += draw(st.lists(st.sampled_from(_OF_ONE_HOP), max_size=2))
    options = [*(field[0] for field in fields), "keep-alive", "upgrade", "X-Absent", "Content-Length", "Host", "Via"]
    named = draw(st.lists(st.sampled_from(options), max_size=3))
    if named:
        fields.append(("Connection", ", ".join(named)))
    return [f"{field}:{draw(white)}{text}{draw(white)}" for field, text in fields]


@st.composite
def chunks(draw, content):
    sizes = draw(st.lists(st.integers(1, 60), max_size=4))
    pieces, rest = [], content
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    coded = b""
    for piece in [*pieces, rest]:
        if piece:
            size = draw(st.sampled_from(["%x", "%X", "0%x"])) % len(piece)
            coded += f"{size}{draw(extension)}\r\n".encode() + piece + b"\r\n"
    trailers = draw(st.lists(st.sampled_from(["X-Sum: 1", "X-Sum:2 ", "Server-Timing: db;dur=1", "Content-Length: 9", "Host: evil"]), max_size=2))
    return coded + f"{draw(st.sampled_from(['0', '000']))}{draw(extension)}\r\n".encode() + "".join(f"{line}\r\n" for line in trailers).encode() + b"\r\n"


@st.composite
def requests(draw, minor=1):
    """A valid request, as bytes, that leaves its connection open where HTTP/1.1 is spoken."""
    lines = draw(field_lines()) + ["Host: example.com:80"] * (minor or draw(st.integers(0, 1)))
    lines += draw(st.sampled_from([[], [], ["Expect: 100-continue"]]))
    content = draw(st.one_of(st.just(b""), body))
    framing = draw(st.sampled_from(["length"] * bool(content) + ["none"] * (not content) + ["chunked"] * minor))
    if framing == "chunked":
        lines.append(draw(st.sampled_from(["Transfer-Encoding: chunked", "transfer-encoding:Chunked"])))
        content = draw(chunks(content))
    elif framing == "length":
        lines.append(f"Content-Length: {len(content)}")
    lines = draw(st.permutations(lines))
    empty_line_before = draw(st.sampled_from([b"", b"", b"\r\n"]))
    head = f"{draw(method)} {draw(target)} HTTP/1.{minor}\r\n" + "".join(f"{line}\r\n" for line in lines)
    return empty_line_before + head.encode("latin-1") + b"\r\n" + content


@st.composite
def replies(draw, *, bodiless=False):
    """A valid final reply as bytes, with interim ones in front, and whether only the connection's end ends it."""
    interim = draw(st.lists(st.sampled_from([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]), max_size=2))
    status = draw(st.sampled_from([200, 200, 200, 201, 204, 206, 301, 304, 404, 429, 500, 503, 599]))
    minor = draw(st.sampled_from([1, 1, 1, 0]))
    reason = draw(st.sampled_from([" OK", " ", "", " Ganz andere Sache", " caf\xe9"]))
    lines = draw(field_lines())
    content = draw(st.one_of(st.just(b""), body))
    framing = draw(st.sampled_from(["length", "chunked", "close"] if minor else ["length", "close"]))
    if status == 204:
        framing, content = "none", b""
    elif framing == "length":
        lines.append(f"Content-Length: {len(content)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        content = draw(chunks(content))
    if bodiless or status == 304:
        content = b""
    head = f"HTTP/1.{minor} {status}{reason}\r\n" + "".join(f"{line}\r\n" for line in draw(st.permutations(lines)))
    closes = framing == "close" or draw(st.booleans())
    return b"".join(interim) + head.encode("latin-1") + b"\r\n" + content, closes


_INSERTED = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"1", b"f", b"-", b"+", b"\x0b", b"\x7f", b"\xff", b"\r\n\r\n", b"0\r\n\r\n"]
_INSERTED += [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: identity\r\n", b"Host: b\r\n"]
_INSERTED += [b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding:\x0bchunked\r\n", b" folded\r\n", b"Connection: close\r\n", b", chunked", b"xchunked"]
_INSERTED += [b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.0", b"HEAD ", b"CONNECT "]

_POSITION = st.integers(0, 600)
_MUTATION = st.one_of(
    st.tuples(st.just("flip"), _POSITION, st.integers(1, 255)),
    st.tuples(st.just("insert"), _POSITION, st.sampled_from(_INSERTED)),
    st.tuples(st.just("delete"), _POSITION, st.integers(1, 12)),
    st.tuples(st.just("repeat line"), _POSITION, st.integers(1, 2)),
    st.tuples(st.just("remove line"), _POSITION, st.just(0)),
    st.tuples(st.just("insert line"), _POSITION, st.sampled_from(_INSERTED)),
    st.tuples(st.just("end"), _POSITION, st.just(0)),
)
mutations = st.lists(_MUTATION, min_size=1, max_size=3)
cuts = st.lists(st.integers(0, 3_000), max_size=12)


def mutated(data: bytes, changes) -> bytes:
    """Apply the changes one after the other."""
    for kind, position, detail in changes:
        at = position % (len(data) + 1)
        if kind == "flip":
            data = data[:at] + bytes(byte ^ detail for byte in data[at : at + 1]) + data[at + 1 :]
        elif kind == "insert":
            data = data[:at] + detail + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + detail :]
        elif kind == "end":
            data = data[:at]
        else:
            data = b"\r\n".join(_other_lines(data.split(b"\r\n"), kind, position, detail))
    return data


def _other_lines(lines, kind, position, detail):
    at = position % len(lines)
    if kind == "repeat line":
        return lines[:at] + [lines[at]] * detail + lines[at:]
    if kind == "remove line":
        return lines[:at] + lines[at + 1 :]
    return [*lines[:at], detail.removesuffix(b"\r\n"), *lines[at:]]
