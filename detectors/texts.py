"""Free text as what can be watched of it: how long it is, how many of its words are new, and in what script it is written.

No text is a level: each is another one. The vocabulary is the most frequent words of the baseline, as hashes. Words of the rows that a vocabulary was made of are in it more
often than others, so each half of a baseline is measured with the vocabulary of the other half, and that of the second half is kept. A character of a script without spaces is a word.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Final

import numpy as np

from detectors.arrays import Column, Columns
from records.baseline import TextBaseline

LENGTH: Final = ".length"
OUT_OF_VOCABULARY: Final = ".out_of_vocabulary"
SCRIPT: Final = ".script"
WORDS_KNOWN: Final = 4_096

_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]+")
_WORDS_READ: Final = 100  # of each text
_LETTERS_READ: Final = 100
_FEWEST_WORDS: Final = 4  # in half of the values, which are different for the most part: then they are texts
_SAMPLE: Final = 1_000


def reads_like_text(values: Sequence[str]) -> bool:
    """Return whether values are texts rather than levels: most are different, and half of them have some words.

    >>> reads_like_text(["Where is my parcel now?", "It came broken, please help", "I want my money back"])
    True
    >>> reads_like_text(["id 1", "id 2", "id 3"])
    False
    """
    some = values[:: max(1, len(values) // _SAMPLE)]
    return bool(some) and len(set(some)) > len(some) / 2 and float(np.median([len(_WORD.findall(value)) for value in some])) >= _FEWEST_WORDS


def text_baseline(name: str, texts: Sequence[str | None], *, has_length: bool) -> tuple[TextBaseline, Columns]:
    """Return the baseline of a column of texts, and what is made of it."""
    half = len(texts) // 2
    first, second = _vocabulary(texts[:half]), _vocabulary(texts[half:])
    feature = TextBaseline(name=name, vocabulary=np.array(sorted(second), dtype="<u4").tobytes(), has_length=has_length)
    columns = dict(TextReader(feature).columns(texts))
    columns[name + OUT_OF_VOCABULARY][half:] = [_share_unknown(text, first) for text in texts[half:]]
    return feature, columns


class TextReader:
    """What is made of one text."""

    def __init__(self, baseline: TextBaseline) -> None:
        self.name: Final = baseline.name
        self._vocabulary = frozenset(np.frombuffer(baseline.vocabulary, dtype="<u4").tolist())
        self._has_length = baseline.has_length

    def columns(self, texts: Sequence[str | None]) -> Columns:
        """Return what is made of the rows; missing where there is no text, or nothing of the kind in it."""
        lengths = {self.name + LENGTH: np.array([np.nan if text is None else len(text) for text in texts], dtype=np.float64)} if self._has_length else {}
        return lengths | {
            self.name + OUT_OF_VOCABULARY: np.array([_share_unknown(text, self._vocabulary) for text in texts], dtype=np.float64),
            self.name + SCRIPT: np.array([_script(text) for text in texts], dtype=np.object_),
        }


def made_of_text(baseline: TextBaseline) -> Iterable[str]:
    """Return the names of the features that are made of a text."""
    return (baseline.name + ending for ending in (*([LENGTH] if baseline.has_length else []), OUT_OF_VOCABULARY, SCRIPT))


def texts_of(column: Column) -> list[str | None]:
    """Return the texts of a column of any kind."""
    values = column["text"].tolist() if column.dtype.names else column.tolist()
    return [value if type(value) is str else None for value in values]


def _vocabulary(texts: Iterable[str | None]) -> frozenset[int]:
    """Return the hashes of the most frequent words; among equals those with the smallest, so that the order of rows does not matter."""
    rows = Counter(word for text in texts if text is not None for word in set(_words(text)))
    return frozenset(sorted(rows, key=lambda word: (-rows[word], word))[:WORDS_KNOWN])


def _words(text: str) -> list[int]:
    """Return the hashes of the first words of a text, in lower case."""
    return [zlib.crc32(match.group().casefold().encode("utf-8", "replace")) for match, _ in zip(_WORD.finditer(text), range(_WORDS_READ), strict=False)]


def _share_unknown(text: str | None, vocabulary: Container[int]) -> float:
    words = _words(text) if text else []
    return sum(word not in vocabulary for word in words) / len(words) if words else float("nan")


def _script(text: str | None) -> str | None:
    """Return the script of most of the first letters, as Unicode names it; None where there are no letters."""
    letters = [character for character in (text or "") if character.isalpha()][:_LETTERS_READ]
    if not letters:
        return None
    if "".join(letters).isascii():
        return "latin"
    scripts = Counter(unicodedata.name(letter, "other").partition(" ")[0].lower() for letter in letters)
    return min(scripts, key=lambda script: (-scripts[script], script))
