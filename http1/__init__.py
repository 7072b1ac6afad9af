"""HTTP/1.1 without I/O (RFC 9112): bytes in, events out. Strict where leniency would let two parsers disagree.

- `grammar`   the regular expressions of the RFC, compiled
- `reader`    the state table that requests and replies share: head, body by its framing, end
- `fields`    header fields and what they say about framing and connections
- `request`   request heads
- `reply`     reply heads
"""
