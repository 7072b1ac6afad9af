"""`name=value` pairs with & between them: a query (WHATWG URL §5) and a form's fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from privacy.changes import Change, dropped

FORM: Final = re.compile(rb"[A-Za-z0-9*._~+%&=;!'()$@:/?,-]*")
"""What a form's content can be: other characters are percent-encoded by whoever writes forms, and a body with them is something else."""


def pairs_changed(text: str, changes: Mapping[str, Change]) -> str:
    """Return the pairs with the values of those named changed, or without those that are to be dropped. The rest stays as it was written.

    The semicolon separated pairs once, and for some it still does: what is named in either reading is changed.
    """
    return "&".join(changed for pair in text.split("&") if (changed := _pair_changed(pair, changes)) is not None)


def values_of(text: str, name: str) -> list[str]:
    """Return the values of the pairs with this name, decoded."""
    pairs = [each.partition("=") for each in text.split("&")]
    return [unquote_plus(value) for given, _, value in pairs if unquote_plus(given) == name]


def _pair_changed(pair: str, changes: Mapping[str, Change]) -> str | None:
    name, _, value = pair.partition("=")
    change = changes.get(unquote_plus(name))
    if change is not None:
        return None if change is dropped else f"{name}={change(unquote_plus(value))}"
    if ";" not in pair:
        return pair
    return ";".join(changed for each in pair.split(";") if (changed := _pair_changed(each, changes)) is not None)
