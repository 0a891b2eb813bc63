import pytest

from pinpoint.numerals import bracketed, p_value, with_interval, with_n


def test_an_estimate_is_its_value_with_the_interval_in_brackets() -> None:
    estimate = {"value": 0.9621, "low": 0.94, "high": 0.981}
    assert with_interval(estimate, ".1f", 100) == "96.2 [94.0, 98.1]"
    assert with_interval(estimate, ".1f", 100, " %") == "96.2 % [94.0, 98.1]"
    assert with_interval({"value": -1.5, "low": -2.0, "high": 0.25}, "+.2f") == "-1.50 [-2.00, +0.25]"


def test_the_number_of_items_stands_behind_an_estimate() -> None:
    assert with_n("96.2 [94.0, 98.1]", 394) == "96.2 [94.0, 98.1] n=394"
    assert with_n("96.2 %", "1,394") == "96.2 % n=1,394"


def test_a_mean_without_an_interval_is_not_written() -> None:
    assert with_interval({"value": 0.5, "low": None, "high": None}, ".2f") == "–"
    assert bracketed(None, None, ".2f") == ""


def test_numbers_are_written_as_the_caller_writes_them() -> None:
    assert bracketed(-1.0, 1.0, ".1f", write=lambda x, spec: format(x, spec).replace("-", "−")) == "[−1.0, 1.0]"


@pytest.mark.parametrize(("p", "text"), [(0.0421, ".042"), (1.0, "1.000"), (0.001, ".001"), (0.00099, "<.001")])
def test_p_values_have_three_digits(p: float, text: str) -> None:
    assert p_value(p) == text
