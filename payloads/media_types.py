"""Content types (RFC 9110 §8.3.1)."""

from __future__ import annotations

from email.message import Message
from functools import lru_cache
from typing import Final

_LONGEST: Final = 1_000
"""Characters of a content type that is searched for parameters."""


@lru_cache(maxsize=256)
def media_type(content_type: str) -> str:
    """Return the type without its parameters, in lower case.

    >>> media_type("Text/CSV; charset=utf-8")
    'text/csv'
    """
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def parameter(content_type: str, name: str) -> str:
    """Return a parameter's value, without quotes; empty where there is none.

    >>> parameter('multipart/form-data; boundary="a b"', "boundary")
    'a b'
    """
    if len(content_type) > _LONGEST:
        return ""
    message = Message()
    message["Content-Type"] = content_type
    value = message.get_param(name, "")
    return value if isinstance(value, str) else ""
