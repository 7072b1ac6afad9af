from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.changes import dropped, masked
from privacy.pairs import pairs_changed, values_of

texts = st.text(max_size=5)


@given(st.lists(st.tuples(texts, texts), max_size=6), st.sampled_from(["&", ";"]))
def test_parameters_that_are_not_named_stay_and_named_ones_are_masked(pairs: list[tuple[str, str]], separator: str) -> None:
    pairs = [("secret", value) if index % 2 else (f"p{name}", value) for index, (name, value) in enumerate(pairs)]
    text = separator.join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    masked_pairs = [(name, "***" if name == "secret" else value) for name, value in pairs]
    assert parse_qsl(pairs_changed(text, {"secret": masked}), keep_blank_values=True, separator=separator) == masked_pairs


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("a=1", "a=1"),
        ("token=x", ""),
        ("a=1&token=x&b", "a=1&b"),
        ("to%6ben=x&a=%20", "a=%20"),
        ("token=1;2&a", "a"),
        ("a=1;token=x;b=2", "a=1;b=2"),
        ("token", ""),
        ("Token=x", "Token=x"),
        ("&&token=&", "&&"),
    ],
)
def test_named_pairs_are_dropped_in_every_way_of_writing_them(text: str, kept: str) -> None:
    assert pairs_changed(text, {"token": dropped}) == kept


def test_values_are_found_by_their_name() -> None:
    assert values_of(urlencode([("a", "1 2"), ("b", "x"), ("a", "é")]), "a") == ["1 2", "é"]
    assert values_of("b&c=", "a") == []
