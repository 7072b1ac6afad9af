from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import ConfigError, load
from config.redaction import Action, Capture, Place, PlaceKind, Step
from config.secrets import Secret
from config.units import QuantityError

names = st.text(st.characters(whitelist_categories=("L", "N"), whitelist_characters="_-"), min_size=1, max_size=8)
quoted = st.text(st.characters(whitelist_categories=("L", "N", "P", "S"), blacklist_characters="'"), min_size=1, max_size=8)
steps = (
    st.builds(".{}".format, names)
    | st.builds("..{}".format, names)
    | st.builds("['{}']".format, quoted)
    | st.builds("[{}]".format, st.integers(0, 99))
    | st.sampled_from([".*", "[*]"])
)
paths = st.lists(steps, min_size=1, max_size=6).map(lambda parts: "$" + "".join(parts))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("$.a.b", Place(PlaceKind.JSON, "$.a.b", (Step("a"), Step("b")))),
        ("$[0][*].x", Place(PlaceKind.JSON, "$[0][*].x", (Step(0), Step(None), Step("x")))),
        ("$..email", Place(PlaceKind.JSON, "$..email", (Step("email", anywhere=True),))),
        ("$['a.b'][\"it's\"].*", Place(PlaceKind.JSON, "$['a.b'][\"it's\"].*", (Step("a.b"), Step("it's"), Step(None)))),
        ("tensor:social security", Place(PlaceKind.TENSOR, "social security")),
        ("header:X-Customer", Place(PlaceKind.HEADER, "x-customer")),
        ("form:pass word", Place(PlaceKind.FORM, "pass word")),
        ("?token", Place(PlaceKind.QUERY, "token")),
        ("client", Place(PlaceKind.CLIENT, "")),
        ("principal", Place(PlaceKind.PRINCIPAL, "")),
    ],
)
def test_a_place_is_read_as_it_is_written(text: str, place: Place) -> None:
    assert Place.parse(text) == place
    assert Place.parse(str(place)) == place


@given(paths)
def test_a_printed_path_reads_back(text: str) -> None:
    assert Place.parse(str(Place.parse(text))) == Place.parse(text)


@pytest.mark.parametrize(
    "text", ["", "$", "a.b", "$.a b", "$.a[", "$[-1]", "$.a[?(@.b)]", "$..[*]", "tensor:", "header:a b", "?", "?a=b", "cookie:x", "$.a" * 400]
)
def test_what_is_no_place_is_refused_with_an_example_that_is_right(text: str) -> None:
    with pytest.raises(QuantityError, match="expected a JSON path such as") as refused:
        Place.parse(text)
    Place.parse(refused.value.example)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (Place.parse, Secret.parse):
        try:
            read(text)
        except QuantityError as error:
            read(error.example)


@pytest.mark.parametrize(
    ("text", "feature"), [("tensor:ssn", "ssn"), ("$.rows[*].ssn", "ssn"), ("$.ssn[0]", "ssn"), ("$[0]", ""), ("?ssn", ""), ("header:ssn", "")]
)
def test_a_place_knows_the_feature_that_stands_there(text: str, feature: str) -> None:
    assert Place.parse(text).feature == feature


def test_a_key_is_read_from_its_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"0123456789abcdef\n")
    monkeypatch.setenv("HASH_KEY", "fedcba9876543210")
    assert Secret.parse(f"a=file:{file}").secret() == b"0123456789abcdef"
    assert Secret.parse("b=env:HASH_KEY").secret() == b"fedcba9876543210"


def test_a_key_that_cannot_be_used_is_a_sentence_for_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT", raising=False)
    (tmp_path / "short").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"^the key a cannot be read from the file .*/absent: No such file or directory$"):
        Secret("a", file=str(tmp_path / "absent")).secret()
    with pytest.raises(ValueError, match=r"has 5 bytes and needs 16: make one with `openssl rand -hex 32`$"):
        Secret("a", file=str(tmp_path / "short")).secret()
    with pytest.raises(ValueError, match=r"in the environment variable ABSENT has 0 bytes"):
        Secret("a", variable="ABSENT").secret()


ROUTES = """
routes:
  - upstream: http://127.0.0.1:9000
    capture: off
    sample: 10%
    subject: $.customer.id
    redact:
      - {at: "$.customer.name"}
      - {at: "tensor:ssn", do: hash}
"""


def test_a_file_says_what_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text(ROUTES + "privacy: {hash_keys: [2=file:/b, 1=env:A]}\n")
    settings = load(file)
    (route,) = settings.routes
    assert (route.capture, route.sample, str(route.subject)) == (Capture.OFF, 0.1, "$.customer.id")
    assert [(str(rule.at), rule.do) for rule in route.redact] == [("$.customer.name", Action.DROP), ("tensor:ssn", Action.HASH)]
    assert settings.privacy.hash_keys == (Secret("2", file="/b"), Secret("1", variable="A"))


def test_what_is_to_be_hashed_needs_a_key(tmp_path: Path) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text(ROUTES)
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert [line.split("expected")[1] for line in str(refused.value).splitlines()] == [
        " a key to hash with in privacy.hash_keys, found none; for example: privacy: {hash_keys: 2026-11=file:/etc/driftline/hash.key}"
    ] * 2


def test_keys_of_one_name_and_tensors_as_subjects_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text(ROUTES.replace("$.customer.id", "tensor:id") + "privacy: {hash_keys: [1=file:/b, 1=env:A]}\n")
    with pytest.raises(ConfigError, match=r"(?s)subject: expected a place that is no tensor.*hash_keys: expected values that differ, found '1'"):
        load(file)


def test_a_field_without_which_bodies_cannot_be_read_cannot_be_redacted(tmp_path: Path) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_text("routes: [{upstream: http://a, redact: [{at: header:Content-Type}]}]")
    with pytest.raises(ConfigError, match=r"redact\[0\].at: expected another field than content-type, without which no body can be read"):
        load(file)
