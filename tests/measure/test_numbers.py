"""Numbers are compared by value: a number is not found within another, and is in whatever way it is written."""

import pytest

from pinpoint.measure import gives
from pinpoint.measure._numbers import set_apart, without_working
from pinpoint.measure._words import spellings, words


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ("2", "It is 2.5."),
        ("12", "It is 12.5 km."),
        ("5", "It is -5."),
        ("3/4", "The answer is 4."),
        ("4", "It is 3/4."),
        ("0.5", "It is 5.0."),
        ("8.75", "75 of 8."),
        ("102", "It is 10²."),
        ("1/2", "On 1/2/2020."),
        ("4", "3 + 4 = 7"),
        ("24", "First, 48 / 2 = 24, and 24 - 6 is left.\n#### 18"),
        ("3.14", "It is 3.14159."),
        ("x", f"{'1' * 6000}.{'1' * 6000}/{'1' * 6000}"),
    ],
)
def test_a_number_is_not_part_of_another(answer: str, reply: str) -> None:
    assert not gives(reply, [answer])


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ("3/4", r"It is \(\frac{3}{4}\)."),
        (r"\frac{3}{4}", "It is 0.75, I am sure."),
        (r"-\frac{3}{4}", "-0.75"),
        (r"\frac{-3}{4}", "-3/4"),
        (r"$\frac12$", "½"),
        ("2.5", "2½ hours"),
        ("2 1/2", "It takes 2.5 hours."),
        (r"2\frac{1}{2}", "5/2"),
        ("2.50", "$2.5"),
        ("-5", "It is −5."),
        ("1,000", r"$1{,}000$"),
        ("sqrt(3)/2", r"It is \frac{\sqrt{3}}{2}."),
        (r"\frac{\pi}{2}", "π/2"),
        ("10^2", "10²"),
        ("(3, 4)", "The point is (3, 4)."),
        (r"\(12\)", "12"),
        ("14", r"14\text{ cm}"),
        ("7", "3 + 4 = 7"),
        ("24", r"2 \times 12 = 24"),
        ("18", "First, 48 / 2 = 24, and 24 - 6 is left.\n#### 18"),
        ("7/2", r"It is 3, or rather \boxed{\dfrac72}."),
        ("1/0", "1/0"),
        ("12/25/2020", "On 12/25/2020."),
        ("3.1.2", "Version 3.1.2"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(answer: str, reply: str) -> None:
    assert gives(reply, [answer])


def test_fractions_are_no_alternatives_but_names_are() -> None:
    assert spellings(["3/4", "Cher/Sonny", "5 or 6"]) == [["3/4"], ["cher"], ["sonny"], ["5"], ["6"]]


def test_other_names_are_read_as_before() -> None:
    assert words("9.11.2001, v1.2 and 24/7") == ["9", "11", "2001", "v1", "2", "and", "24/7"]


def test_what_is_set_apart_last_counts() -> None:
    assert set_apart(r"\boxed{1}, no: \boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert set_apart("#### A heading\nIt is 5.") is None
    assert without_working("x = 40 + 2 = 42, not 1990-1991") == "x = 42, not 1990-1991"
