"""The grammar of RFC 9110 and 9112 as compiled regular expressions.

A start line or a field is checked and taken apart by one match, in C: as cheap as a generated parser with a callback per field
(docs/decisions/0002-http-parser.md), with every decision in our hands.

Repeats are possessive where what they repeat has one way to match: nothing is tried twice, however hostile the bytes. Groups that could match in several ways are repeated without, because
Python before 3.11.5 then matches what it must not (gh-106052); none of them can match one text in two ways, so that trying again ends at once.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_FIELD_VALUE = rb"[\t\x20-\x7e\x80-\xff]"

REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb"++) ([\x21-\x7e\x80-\xff]++) HTTP/(\d)\.(\d)\Z")
"""RFC 9112 §3: method, target, major, minor. The target's form is checked apart."""

STATUS_LINE: Final = re.compile(rb"HTTP/(\d)\.(\d) ([1-9]\d\d)(?: (" + _FIELD_VALUE + rb"*+))?\Z")
"""RFC 9112 §4. The space before an empty reason phrase is often left out."""

FIELD_SECTION: Final = re.compile(rb"(?:" + _TOKEN + rb"++:" + _FIELD_VALUE + rb"*+\r\n)*+\Z")
"""RFC 9112 §5, without line folding (§5.2 allows a server to refuse it) and without control characters in values."""

FIELD: Final = re.compile(rb"(" + _TOKEN + rb"++):[ \t]*+(" + _FIELD_VALUE + rb"*+)\Z")
"""One line of it, without its end, taken apart. The value may end in white space."""

STRAY_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|\Z)|(?<!\r)\n")
"""What can never become part of a valid head, so that an incomplete one is refused at once and not only when it times out."""

HOST: Final = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*(?::\d{0,5})?\Z|\[[0-9A-Fa-f:.vV]+\](?::\d{0,5})?\Z")
"""RFC 9110 §7.2: uri-host and optional port."""

ABSOLUTE_FORM: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#@]++)([/?][^#]*+)?\Z")
"""RFC 9112 §3.2.2: authority and the rest."""

CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15}+)(?:[ \t]*;[ \t]*"
    + _TOKEN
    + rb"++(?:[ \t]*=[ \t]*(?:"
    + _TOKEN
    + rb'++|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)*\r\n'
)
"""RFC 9112 §7.1: chunk size and extensions, which are never passed on."""

TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})\Z")
"""W3C Trace Context §3.2: trace id, parent id and flags."""
