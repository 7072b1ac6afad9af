import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.selection import Condition, Key
from config.units import QuantityError

fields = st.from_regex(r"[a-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True)
values = st.from_regex(r"[!-~]([ -~]{0,10}[!-~])?", fullmatch=True)
parameters = st.from_regex(r"[A-Za-z0-9._~%-]{1,20}", fullmatch=True)


@given(fields, values)
def test_a_printed_condition_reads_back(field: str, value: str) -> None:
    assert Condition.parse(str(Condition(field, value))) == Condition(field, value)


@given(st.builds(Key, fields, st.just(False)) | st.builds(Key, parameters, st.just(True)))
def test_a_printed_key_reads_back(key: Key) -> None:
    assert Key.parse(str(key)) == key


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_an_example_that_is_right(text: str) -> None:
    for read in (Condition.parse, Key.parse):
        try:
            read(text)
        except QuantityError as error:
            read(error.example)


@pytest.mark.parametrize("text", ["", "X-Canary", "X-Canary=", "=yes", "X Canary=yes", "X-Canary: yes", "X-Canary=a\nb", "X-Canary=a\u00e9"])
def test_what_is_not_a_condition_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="expected a header field's name and value, FIELD=VALUE"):
        Condition.parse(text)


@pytest.mark.parametrize("text", ["", "?", "a b", "?a=b", "?a&b", "X-Session:", "{session}"])
def test_what_is_not_a_key_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="expected a header field's name, or a query parameter as"):
        Key.parse(text)
