import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.arrays import FREE_TEXT
from detectors.baseline import build_baseline
from detectors.derived import Derivation, made_of
from detectors.drift import DriftDetector
from detectors.texts import TextReader, reads_like_text, text_baseline, texts_of
from detectors.windows import WindowPolicy
from records.baseline import TextBaseline

WORDS = [f"{first}{second}{third}" for first in ("ba", "co", "di", "fu", "ge") for second in ("lan", "mir", "nos") for third in ("ta", "vek", "xi", "zo")]
POLICY = WindowPolicy(max_rows=200, max_seconds=None)


def texts(rows, seed, words=WORDS):
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(words) + 1)
    return [" ".join(rng.choice(words, rng.integers(4, 12), p=weights / weights.sum())) for _ in range(rows)]


def column(values):
    return np.array(values, dtype=object)


def free(values):
    return np.array([(value,) for value in values], dtype=FREE_TEXT)


def test_texts_are_told_from_levels():
    assert reads_like_text(texts(500, 1))
    assert not reads_like_text([f"user {index}" for index in range(500)])
    assert not reads_like_text(["please call me back soon", "no thanks, not for me"] * 200)
    assert not reads_like_text([])


def test_a_text_becomes_its_length_its_new_words_and_its_script():
    feature, made = text_baseline("t", ["one two three four", "one two three five"], has_length=True)
    found = TextReader(feature).columns(["one two", "ONE neuf", None, "12 !", ""])
    np.testing.assert_array_equal(found["t.length"], [7, 8, np.nan, 4, 0])
    np.testing.assert_array_equal(found["t.out_of_vocabulary"], [0, 0.5, np.nan, np.nan, np.nan])
    assert found["t.script"].tolist() == ["latin", "latin", None, None, None]
    np.testing.assert_array_equal(made["t.out_of_vocabulary"], [0.25, 0.25])  # each by the words of the other


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Grüße aus Köln", "latin"),
        ("добрый день", "cyrillic"),
        ("こんにちは", "hiragana"),
        ("你好，世界", "cjk"),
        ("مرحبا", "arabic"),
        ("안녕하세요", "hangul"),
    ],
)
def test_the_script_is_that_of_most_letters(text, script):
    assert TextReader(TextBaseline(name="t", vocabulary=b"")).columns([text])["t.script"].tolist() == [script]


def test_in_scripts_without_spaces_each_character_is_a_word():
    feature, _ = text_baseline("t", ["你好世界"] * 4, has_length=False)
    found = TextReader(feature).columns(["你好再见"])
    assert list(found) == ["t.out_of_vocabulary", "t.script"]
    assert found["t.out_of_vocabulary"].tolist() == [0.5]


@given(st.lists(st.none() | st.text(max_size=60), max_size=8))
def test_whatever_the_texts_are_shares_are_shares(values):
    feature, made = text_baseline("t", values, has_length=True)
    again = TextReader(feature).columns(values)
    for each in (made, again):
        shares = each["t.out_of_vocabulary"]
        assert np.all(np.isnan(shares) | ((shares >= 0) & (shares <= 1)))
        assert all(script is None or script for script in each["t.script"])


def test_the_vocabulary_has_a_bound():
    many = [
        " ".join(f"w{chr(97 + index % 26)}{chr(97 + index // 26 % 26)}{chr(97 + index // 676)}" for index in range(first, first + 80))
        for first in range(0, 12_000, 40)
    ]
    feature, _ = text_baseline("t", many, has_length=True)
    assert len(feature.vocabulary) == 4 * 4_096


@pytest.mark.parametrize("kind", [column, free], ids=["levels", "free text"])
def test_texts_that_do_not_change_raise_no_alert_and_new_words_do(kind):
    baseline = build_baseline({"t": kind(texts(3_000, 1))}, model="m", source="t", created_at_ns=0)
    assert [text.name for text in baseline.texts] == ["t"]
    assert {feature.name for feature in baseline.features} == made_of(baseline) == {"t.length", "t.out_of_vocabulary", "t.script"}
    detector = DriftDetector(baseline, threshold=100.0, windows=POLICY)
    times = np.zeros(200, dtype=np.int64)
    quiet = [window for seed in range(2, 42) for window in detector.update({"t": kind(texts(200, seed))}, times)]
    assert not any(verdict.alert for _, verdict in quiet)
    assert not any(summary.unknown for summary, _ in quiet)
    new = [text.replace("ta", "tu") for text in texts(200, 99)]
    changed = [verdict for _ in range(3) for _, verdict in detector.update({"t": kind(new)}, times)]
    assert any(verdict.alert for verdict in changed)
    assert changed[-1].carriers == ("t.out_of_vocabulary",)


def test_a_text_that_comes_with_its_length_is_not_measured_twice():
    values = texts(200, 1)
    columns = {"t": free(values), "t_characters": np.array([float(len(value)) for value in values])}
    baseline = build_baseline(columns, model="m", source="t", created_at_ns=0)
    assert {feature.name for feature in baseline.features} == {"t_characters", "t.out_of_vocabulary", "t.script"}


def test_all_texts_missing_and_numbers_in_their_place_are_missing():
    baseline = build_baseline({"t": free([None] * 200)}, model="m", source="t", created_at_ns=0)
    made = Derivation(baseline)({"t": np.arange(3.0)})
    assert np.isnan(made["t.length"]).all()
    assert texts_of(free(["a", None])) == ["a", None]
