"""Pictures of features: read as XML, not looked at."""

import re
import xml.etree.ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.picture import picture, place_words
from console.report import report
from records.explanation import Cell, FeatureExplanation, Gain, Level, Missing, Moment, Numbers, OtherLevels, PairChange, UnseenLevels

SVG = "{http://www.w3.org/2000/svg}"
EDGES = [-1.0, 0.0, 0.5, 1.0, 2.0]


def cells(*shares, edges=EDGES):
    ends = [None, *edges, None]
    return tuple(Cell(place=Numbers(low=ends[i], high=ends[i + 1]), before=before, now=now) for i, (before, now) in enumerate(shares))


def feature(name="age", shown=(), **more):
    return FeatureExplanation(feature=name, share=0.5, since_at_ns=1, summary="mean 1 → 2 (+0.3 sd)", tests={}, cells=tuple(shown), **more)


HISTOGRAM = feature(shown=cells((0.1, 0.0), (0.3, 0.1), (0.2, 0.2), (0.2, 0.2), (0.1, 0.2), (0.1, 0.3)), smallest=-3.0, largest=9.0)
BARS = feature(shown=[Cell(place=place, before=0.25, now=0.25) for place in (Level("a"), OtherLevels(), UnseenLevels(("x",)), Missing())])


def drawn(explanation, shown):
    return ET.fromstring(picture(explanation, shown))


@pytest.mark.parametrize("shown", [HISTOGRAM, BARS], ids=["histogram", "bars"])
def test_it_says_what_it_shows_number_by_number(explanation, shown):
    svg = drawn(explanation, shown)
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == f"{svg.find(f'{SVG}title').get('id')} {svg.find(f'{SVG}desc').get('id')}"
    assert svg.find(f"{SVG}title").text == "age of fraud: baseline against now"
    description = svg.find(f"{SVG}desc").text
    assert explanation.compared_with in description
    assert all(f"{place_words(cell.place)}: {cell.before:.1%} → {cell.now:.1%}" in description for cell in shown.cells)


def test_it_needs_nothing_else_and_fits_light_and_dark(explanation):
    text = picture(explanation, HISTOGRAM)
    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|href|url\(|<script|@import", text) == []


def test_several_on_one_page_are_told_apart(explanation):
    page = report(explanation)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) == 4


def test_numbers_are_a_histogram_and_few_values_are_bars(explanation):
    assert drawn(explanation, HISTOGRAM).find(f"{SVG}polyline") is not None
    assert drawn(explanation, BARS).find(f"{SVG}polyline") is None
    values = feature(shown=[Cell(place=Numbers(low=i - 0.5, high=i + 0.5, value=float(i)), before=0.2, now=0.2) for i in range(5)])
    assert drawn(explanation, values).find(f"{SVG}polyline") is None


def test_one_value_among_many_makes_bars_for_it_could_not_be_seen_in_a_histogram(explanation):
    spiked = feature(shown=cells(*[(0.2, 0.2)] * 5, edges=[0.0, 5e-324, 1.0, 2.0]), smallest=0.0, largest=3.0)
    svg = drawn(explanation, spiked)
    assert svg.find(f"{SVG}polyline") is None
    assert "0 to 0: 20.0%" in svg.find(f"{SVG}desc").text


def test_the_histogram_ends_where_values_end_or_not_far_beyond_the_others(explanation):
    ticks = [float(each.text) for each in drawn(explanation, HISTOGRAM).iter(f"{SVG}text") if each.get("text-anchor") == "middle"]
    assert min(ticks) >= -3
    assert max(ticks) <= 6
    assert len(ticks) >= 4


def test_what_strangers_wrote_is_text(explanation):
    name = '</title><script>alert(1)</script>&"\x00\ud800 ' + "x" * 500
    svg = drawn(explanation, feature(name, [Cell(place=Level(name), before=0.5, now=0.5)]))
    assert [each.tag for each in svg.iter() if "script" in each.tag] == []
    assert "<script>" not in report(msgspec.structs.replace(explanation, model=name, features=(feature(name, BARS.cells),)))


def test_correlations_are_dots_on_a_line_from_minus_one_to_one(explanation):
    pairs = (PairChange(features=("age", "income & more"), before=0.31, now=0.62), PairChange(features=("a", "b"), before=-1.5, now=2.0))
    shown = msgspec.structs.replace(feature("(correlations)"), pairs=pairs)
    svg = drawn(explanation, shown)
    assert "age with income & more: 0.31 → 0.62" in svg.find(f"{SVG}desc").text
    dots = [float(each.get("cx")) for each in svg.iter(f"{SVG}circle")]
    assert len(dots) == 4
    assert dots[2] < dots[0] < dots[1] < dots[3] < 520
    assert "<td>age with income &amp; more</td><td>0.31 → 0.62</td>" in report(msgspec.structs.replace(explanation, features=(shown,)))


@pytest.mark.parametrize("since", [0, 7])
def test_what_is_one_number_by_window_is_drawn_window_by_window(explanation, since):
    course = tuple(Moment(opened_at_ns=time, effect=effect) for time, effect in ((5, 0.0), (6, 0.01), (7, 0.2), (8, 0.25)))
    svg = drawn(explanation, msgspec.structs.replace(feature("image"), course=course, since_at_ns=since))
    assert "Effect window by window, this one last: 0, 0.01, 0.2, 0.25." in svg.find(f"{SVG}desc").text
    heights = [float(point.split(",")[1]) for point in svg.find(f"{SVG}polyline").get("points").split()]
    assert heights == sorted(heights, reverse=True)
    shaded = [float(each.get("x")) for each in svg.iter(f"{SVG}rect") if each.get("class") == "gain"]
    assert shaded == ([260.0] if since else [])


def test_an_effect_that_never_was_is_a_line_on_the_ground(explanation):
    svg = drawn(explanation, msgspec.structs.replace(feature("image"), course=(Moment(opened_at_ns=0, effect=0.0),)))
    ground = float(svg.find(f"{SVG}line").get("y1"))
    assert svg.find(f"{SVG}polyline").get("points") == f"16.0,{ground} 504.0,{ground}"


def test_what_has_neither_cells_nor_pairs_nor_a_course_is_words_alone(explanation):
    svg = drawn(explanation, feature("(correlations)"))
    assert svg.find(f"{SVG}rect").get("class") == "ground"
    assert len(svg.findall(f"{SVG}rect")) == 1


SHARES = st.floats(0, 1)
NUMBERS = st.floats(-1e140, 1e140)


@given(st.lists(NUMBERS, min_size=1, max_size=30, unique=True), st.data())
def test_whatever_the_cells_every_coordinate_is_a_number(explanation, edges, data):
    shares = data.draw(st.lists(st.tuples(SHARES, SHARES), min_size=len(edges) + 1, max_size=len(edges) + 1))
    ends = sorted(data.draw(st.tuples(NUMBERS, NUMBERS)))
    where = data.draw(st.sampled_from(cells(*shares, edges=sorted(edges)))).place
    shown = feature(shown=cells(*shares, edges=sorted(edges)), smallest=ends[0], largest=ends[1], gain=Gain(place=where, before=0.1, now=0.2))
    svg = drawn(explanation, shown)
    found = [value for each in svg.iter() for name in ("x", "y", "width", "height", "x1", "x2", "y1", "y2", "points") if (value := each.get(name))]
    numbers = [float(number) for value in found for number in re.split("[ ,]", value)]
    assert all(-1 <= number <= 2_000 for number in numbers)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Numbers(low=None, high=1.5), "below 1.5"),
        (Numbers(low=1.5, high=None), "1.5 or more"),
        (Numbers(low=8.000000000000002, high=None), "above 8"),
        (Numbers(low=None, high=5e-324), "0 or less"),
        (Numbers(low=1.0, high=2.0), "1 to 2"),
        (Numbers(low=0.5, high=1.5, value=1.0), "1"),
        (Numbers(low=None, high=None), "any number"),
        (Level("a"), "'a'"),
        (OtherLevels(), "other levels"),
        (UnseenLevels(("a", "b", "c", "d")), "never seen before ('a', 'b', 'c')"),
        (UnseenLevels(()), "never seen before"),
        (Missing(), "no usable value"),
    ],
)
def test_places_are_told_in_words(place, words):
    assert place_words(place) == words
