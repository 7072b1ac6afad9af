import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.redaction import Action, Place
from privacy.changes import change_for, dropped, masked
from privacy.paths import Paths

keys = st.sampled_from(["a", "b", "c"])
documents = st.recursive(
    st.integers(0, 9) | st.sampled_from(["x", "y"]) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=20,
)
paths = st.lists(st.sampled_from([".a", ".b", "..a", "..c", "[0]", "[1]", "[*]", ".*"]), min_size=1, max_size=4).map(lambda parts: "$" + "".join(parts))


def applied(content: bytes, *rules: tuple[str, object]) -> bytes:
    paths = Paths([(Place.parse(at).steps, change) for at, change in rules])
    document, write = paths.opened(content)
    return write(paths.apply(document))


def selected(document: object, steps: tuple) -> list[tuple]:
    """Return where a path leads, by the definition: one step after the other over the whole document."""
    found = [()]
    for key, anywhere in steps:
        bases = [base + deeper for base in found for deeper in (locations(at(document, base)) if anywhere else [()])]
        found = [(*base, child) for base in bases for child in children(at(document, base)) if key is None or (type(key) is type(child) and key == child)]
    return found


def at(document: object, location: tuple) -> object:
    for key in location:
        document = document[key]
    return document


def children(value: object) -> list:
    return list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []


def locations(value: object) -> list[tuple]:
    return [(), *[(child, *deeper) for child in children(value) for deeper in locations(value[child])]]


@given(documents, st.lists(paths, min_size=1, max_size=3))
def test_every_value_that_a_path_leads_to_is_masked_and_nothing_else(document: object, rules: list[str]) -> None:
    expected = json.loads(json.dumps(document))
    leaves = {
        location
        for rule in rules
        for start in selected(document, Place.parse(rule).steps)
        for rest in locations(at(document, start))
        for location in [start + rest]
    }
    for location in leaves:
        if not children(at(document, location)):
            value = at(document, location)
            at(expected, location[:-1])[location[-1]] = value if isinstance(value, dict | list) else masked(value)
    assert json.loads(applied(json.dumps(document).encode(), *[(rule, masked) for rule in rules])) == expected


@pytest.mark.parametrize(
    ("rule", "content", "kept"),
    [
        ("$.a", b'{"a": 1, "b": 2}', b'{"b":2}'),
        ("$.a.b", b' {"a": {"b": "s", "c": 1.50}}\r\n', b'{"a":{"c":1.50}}'),
        ("$[1]", b"[1, 2, 3]", b"[1,null,3]"),
        ("$.rows[*].id", b'{"rows": [{"id": 1, "x": 2}, {"x": 3}, 4]}', b'{"rows":[{"x":2},{"x":3},4]}'),
        ("$..id", b'{"id": 1, "a": [{"id": {"id": 2}}, {"b": {"id": 3, "c": 4}}]}', b'{"a":[{},{"b":{"c":4}}]}'),
        ("$['a.b']", b'{"a.b": 1, "a": {"b": 2}}', b'{"a":{"b": 2}}'),
        ("$.a", b'{"\\u0061": 1}', b"{}"),
        ("$.a", b'{"a": 1, "a": {"a": 2}, "b": 1, "b": 2}', b'{"b":2}'),
        ("$.a", b'"text"', b'"text"'),
        ("$.a", b"[]", b"[]"),
        ("$.a.b", b'{"a": "text"}', b'{"a":"text"}'),
    ],
)
def test_what_a_path_leads_to_is_dropped(rule: str, content: bytes, kept: bytes) -> None:
    assert applied(content, (rule, dropped)) == kept


def test_what_no_path_leads_to_is_written_as_it_was() -> None:
    content = b'{"a":1,"b":[1.000000000000000000001,1e400,"\\u00e9"],"c":123456789012345678901234567890}'
    assert applied(content, ("$.a", masked)) == content.replace(b'"a":1', b'"a":0')


def test_of_two_rules_for_one_place_the_first_holds_and_an_outer_place_before_an_inner_one() -> None:
    assert applied(b'{"a": {"b": "s"}}', ("$.a.b", masked), ("$.a.b", dropped)) == b'{"a":{"b":"***"}}'
    assert applied(b'{"a": {"b": "s"}}', ("$.a.b", change_for(Action.MASK, None)), ("$.a", dropped)) == b"{}"


def test_nan_and_infinity_are_let_pass() -> None:
    assert applied(b'{"a": NaN, "b": [NaN, -Infinity, null]}', ("$.a", dropped)) == b'{"b":[NaN, -Infinity, null]}'


@pytest.mark.parametrize(
    ("rule", "content", "kept"),
    [
        ("$.a", b'{"a": NaN, "b": [NaN, -Infinity, Infinity, null], "c": {"a": NaN}}', b'{"a":0.0,"b":[NaN, -Infinity, Infinity, null],"c":{"a": NaN}}'),
        ("$..a", b'{"a": [NaN, 1], "b": [[NaN, {"a": -Infinity, "b": NaN}]]}', b'{"a":[0.0,0],"b":[[NaN,{"a":0.0,"b":NaN}]]}'),
        ("$..a[*]", b'{"a": [NaN, 1], "b": NaN}', b'{"a":[0.0,0],"b":NaN}'),
        ("$.a", b'{"a": "s", "b": "no NaN, [Infinity]", "c": NaN}', b'{"a":"***","b":"no NaN, [Infinity]","c":NaN}'),
        ("$.NaN", b'{"NaN": "s", "b": NaN}', b'{"NaN":"***","b":NaN}'),
        ("$.a", b"NaN", b"NaN"),
    ],
)
def test_numbers_that_are_no_json_stay_what_they_are(rule: str, content: bytes, kept: bytes) -> None:
    assert applied(content, (rule, masked)) == kept


@pytest.mark.parametrize(
    "content", [b'{"a": 1NaN}', b'{"a": NaN5}', b'{"a": -NaN}', b'{"a": --Infinity}', b'{"a": NaN.5}', b'{NaN: 1, "a": 1}', b'{"a": NaN NaN}']
)
def test_what_only_looks_like_such_a_number_is_no_json(content: bytes) -> None:
    with pytest.raises(ValueError):
        applied(content, ("$.a", masked))


@pytest.mark.parametrize("depth", [1, 7, 8, 9, 30])
@pytest.mark.parametrize("name", [b"secret", b"s\\u0065cret"])
def test_a_name_is_found_at_any_depth_however_it_is_written(depth: int, name: bytes) -> None:
    content = b'{"other":[1,2],"b":' * depth + b'{"%b":"s","c":[1.50]}' % name + b"}" * depth
    kept = applied(content, ("$..secret", dropped))
    assert b"cret" not in kept
    assert json.loads(kept) == json.loads(content.replace(b'"%b":"s",' % name, b""))


def test_what_has_not_the_name_is_written_as_it_was() -> None:
    content = b'{"a":{"secret":1},"b":[[1.50, {"c": 1e400, "c": 2}]]}'
    assert applied(content, ("$..secret", dropped)) == content.replace(b'"secret":1', b"")


@pytest.mark.parametrize("content", [b"", b" ", b"{", b'{"a": 1}x', b"NaN{", b"\xff", b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000])
def test_what_is_no_json_or_too_deep_raises(content: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError, RecursionError, IndexError)):
        applied(content, ("$..a", masked), ("$.b", masked))
