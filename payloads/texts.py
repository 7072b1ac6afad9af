"""Free text to tensors: the text itself, which nobody compares word by word, and its length, which can be watched."""

from __future__ import annotations

from collections.abc import Sequence

from records.payload import TEXT, Tensor


def text_tensors(name: str, texts: Sequence[str | None], shape: tuple[int, ...]) -> list[Tensor]:
    """Return the texts, and as `{name}_characters` their lengths; a text that is missing has none."""
    lengths = [None if text is None else len(text) for text in texts]
    return [Tensor(name, TEXT, shape, list(texts)), Tensor(f"{name}_characters", "INT64", shape, lengths)]
