from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.units import Budget, Bytes, QuantityError, Seconds, Share


@given(st.integers(0, 1 << 60))
def test_a_printed_size_reads_back(count: int) -> None:
    assert Bytes.parse(str(Bytes(count))) == count


@given(st.integers(0, 10**12), st.sampled_from([1, 10, 1000]))
def test_a_printed_duration_reads_back(count: int, per_second: int) -> None:
    seconds = Seconds(count / per_second)
    assert Seconds.parse(str(seconds)) == seconds


@given(st.floats(0, 1).filter(lambda share: share == 0 or share > 1e-9))
def test_a_printed_share_reads_back(share: float) -> None:
    assert Share.parse(str(Share(share))) == share


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_printed_budget_reads_back(alerts: int, count: int) -> None:
    for budget in (Budget(alerts, windows=count), Budget(alerts, Seconds(count))):
        assert Budget.parse(str(budget)) == budget


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_an_example_that_is_right(text: str) -> None:
    for read in (Bytes.parse, Seconds.parse, Share.parse, Budget.parse):
        try:
            read(text)
        except QuantityError as error:
            read(error.example)


@given(st.fractions(0, 10**6, max_denominator=1).map(lambda number: number / 8), st.sampled_from(["KiB", "kib", "KIB"]))
def test_fractions_of_a_unit_are_exact(number: Fraction, unit: str) -> None:
    assert Bytes.parse(f"{float(number)} {unit}") == number * 1024


@pytest.mark.parametrize(
    ("text", "count"),
    [("64 KiB", 65536), ("64KiB", 65536), ("1 MiB", 1 << 20), ("4 GiB", 4 << 30), ("500 kB", 500_000), ("4096", 4096), ("1.5 KiB", 1536), ("0", 0)],
)
def test_sizes_are_counted_in_bytes(text: str, count: int) -> None:
    assert Bytes.parse(text) == count


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("10s", 10), ("5m", 300), ("2h", 7200), ("30 days", 2_592_000), ("1 day", 86_400), ("0.1s", 0.1), ("0s", 0), ("1 week", 604_800)],
)
def test_durations_are_counted_in_seconds(text: str, seconds: float) -> None:
    assert Seconds.parse(text) == seconds


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Bytes(64 << 10), "64 KiB"),
        (Bytes(500_000), "500 kB"),
        (Bytes(1234), "1234 B"),
        (Bytes(0), "0 B"),
        (Seconds(0.25), "250ms"),
        (Seconds(90), "90s"),
        (Seconds(600), "10m"),
        (Seconds(86_400), "1 day"),
        (Seconds(0), "0s"),
        (Share(0.25), "25%"),
        (Share(1), "100%"),
        (Share(0.125), "12.5%"),
    ],
)
def test_quantities_print_in_the_largest_unit_that_is_exact(quantity: object, text: str) -> None:
    assert str(quantity) == text


@pytest.mark.parametrize("text", ["", "64 parsecs", "-1", "1.5", "0.3 B", "KiB", "1 2", "1e3", "٣", "9" * 50])
def test_what_is_not_a_whole_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match=r"expected a size with its unit .*; for example: 64 KiB"):
        Bytes.parse(text)


@pytest.mark.parametrize("text", ["10", "ten s", "-1s", "1h30m", "1 fortnight", ""])
def test_a_duration_without_its_unit_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match=r"expected a duration with its unit .*; for example: 10s"):
        Seconds.parse(text)


@pytest.mark.parametrize("text", ["101%", "1.5", "-1%", "25 percent", "%"])
def test_a_share_outside_of_0_to_1_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="expected a share between 0% and 100%"):
        Share.parse(text)


@pytest.mark.parametrize(
    "text", ["0 per 30 days", "1 per 0 windows", "1 per 0 days", "1 per 30", "often", "1 per windows", "1 per window", "1 per month", "-1 per 30 days"]
)
def test_a_budget_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="expected a number of alerts per time or per windows"):
        Budget.parse(text)


def test_a_budget_per_unit_of_time_needs_no_number() -> None:
    assert Budget.parse("2 per week") == Budget(2, Seconds(7 * 86_400))
    assert str(Budget.parse("1 per day")) == "1 per 1 day"


def test_quantities_compute_as_plain_numbers() -> None:
    assert Bytes.parse("1 KiB") + 1 == 1025
    assert Seconds.parse("1s") * 1e9 == 1e9
    assert Share.parse("50%") * 10 == 5
