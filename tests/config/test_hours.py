import pytest

from config.hours import Hours
from config.units import QuantityError


@pytest.mark.parametrize("text", ["mon-fri 09:00-17:00 UTC", "sat 00:00-24:00 Europe/Berlin", "sun 10:30-11:00 America/Argentina/Buenos_Aires"])
def test_printed_hours_read_back(text: str) -> None:
    assert str(Hours.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mon-fri",
        "fri-mon 09:00-17:00",
        "mon-fri 17:00-09:00",
        "mon-fri 9-17",
        "mon-fri 09:00-25:00",
        "day 09:00-17:00",
        "mon-fri 09:00-17:00 Europe/Atlantis",
    ],
)
def test_what_are_no_hours_is_refused_with_an_example_that_is_right(text: str) -> None:
    with pytest.raises(QuantityError) as caught:
        Hours.parse(text)
    Hours.parse(caught.value.example)
