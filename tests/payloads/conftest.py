"""Exchanges as the data plane would record them."""

import json
from typing import Any

import pytest

from payloads.decoding import decode
from records.exchange import Body, Exchange, Role


def as_body(content: Any, **properties: Any) -> Body:
    """Take bytes as they are and anything else as JSON."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Body(**{"content": content, "size_bytes": len(content), "content_type": "application/json", **properties})


@pytest.fixture(scope="session")
def body():
    return as_body


@pytest.fixture(scope="session")
def decode_bodies():
    """Decode a request and a response, each a `Body`, bytes or what becomes JSON."""

    def decode_bodies(path: str, request: Any = b"", response: Any = b"", *, status: int = 200, role: Role = Role.SERVED):
        return decode(
            Exchange(
                exchange_id=bytes(16),
                request_id="r-1",
                role=role,
                route="default",
                arm="upstream",
                started_at_ns=1,
                method="POST",
                path=path,
                status=status,
                request=request if isinstance(request, Body) else as_body(request),
                response=response if isinstance(response, Body) else as_body(response),
            )
        )

    return decode_bodies


@pytest.fixture(scope="session")
def decode_request(decode_bodies):
    return lambda path, request: decode_bodies(path, request)[0]


@pytest.fixture(scope="session")
def decode_reply(decode_bodies):
    return lambda path, response: decode_bodies(path, b"", response)[1]
