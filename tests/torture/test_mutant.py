"""Putting a mutant in place, without the library that makes them: the suite's slice of `make mutants`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pinpoint.measure import _tests, holm
from tests.compare.test_search import test_holm_steps_down_and_never_lets_a_larger_p_become_smaller as a_test_of_it
from tests.torture.mutant import Mutant, put_in_place

PATH = Path(str(_tests.__file__))


def mutant(before: str, after: str, function: str = "holm") -> Mutant:
    text = PATH.read_text(encoding="utf-8")
    assert text.count(before) == 1
    lines = len(text.splitlines())
    return Mutant(PATH, text.replace(before, after), 1, function, (1, lines))


@pytest.fixture
def restored() -> Iterator[None]:
    kept = holm.__code__
    yield
    holm.__code__ = kept


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("len(p_values) - rank", "len(p_values) + rank"),
        ("max(running, ", "min(running, "),
        ("running = 0.0", "running = 1.0"),
    ],
)
def test_a_mutant_is_in_place_for_whoever_holds_the_function_and_its_test_fails(
    before: str, after: str, restored: None
) -> None:
    a_test_of_it()
    assert put_in_place(mutant(before, after))
    with pytest.raises(AssertionError):
        a_test_of_it()


def test_what_lies_outside_of_functions_cannot_be_put_in_place() -> None:
    assert not put_in_place(mutant("if gained + lost else 1.0", "if gained + lost else 2.0", ""))
