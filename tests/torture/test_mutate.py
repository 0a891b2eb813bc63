"""The instrument of `make mutants`: mutants lie where they say, and whoever holds a function gets its mutant."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("mutmut", reason="comes with the extra `torture`")

from pinpoint.measure import _attention, _tests
from pinpoint.measure._tests import holm
from tests.torture.mutant import Mutant, module_name, put_in_place
from tests.torture.mutate import mutants

TEXT = '''"""A module."""

LIMIT = 3


def free(x: "int | None", most: int = 2) -> list[int]:
    """Says "what"."""
    if len(str(x)) > 7:
        raise ValueError("too long", LIMIT)
    return [x + 1 for x in range(most)]


class Thing:
    size = 4

    @property
    def double(self) -> int:
        return 2 * self.size
'''


@pytest.fixture
def found(tmp_path: Path) -> list[Mutant]:
    path = tmp_path / "src" / "some" / "thing.py"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    assert module_name(path) == "some.thing"
    return mutants(path)


def test_each_mutant_is_one_change_and_knows_its_function(found: list[Mutant]) -> None:
    assert len({mutant.key for mutant in found}) == len(found) > 10
    places = {mutant.change().splitlines()[-1].strip("+ "): (mutant.function, mutant.span) for mutant in found}
    assert places["LIMIT = 4"] == places["size = 5"] == ("", (1, 19))
    assert places["return [x - 1 for x in range(most)]"] == ("free", (6, 10))
    assert places["return 2 / self.size"] == ("Thing.double", (17, 18)), "decorated, and a method"
    assert places['def free(x: "int | None", most: int = 3) -> list[int]:'][0] == "", "worked out where it is made"


def test_annotations_docstrings_texts_of_errors_and_calls_of_len_are_left_alone(found: list[Mutant]) -> None:
    for text in ('x: "int | None"', '"""Says "what"."""', "len(str(x))", "@property"):
        assert all(mutant.source.count(text) == TEXT.count(text) for mutant in found), text
    assert not any("XXtoo" in mutant.source or "TOO" in mutant.source for mutant in found)


@pytest.fixture
def restored() -> Iterator[None]:
    functions = holm, _attention.looks.__wrapped__
    kept = [function.__code__ for function in functions]
    yield
    for function, code in zip(functions, kept, strict=True):
        function.__code__ = code


def mutant_of(module: ModuleType, function: str, change: str) -> Mutant:
    every = mutants(Path(str(module.__file__)))
    [one] = [one for one in every if one.function == function and one.change().endswith(change)]
    return one


@pytest.mark.slow
def test_who_imported_a_function_has_its_mutant_and_a_decorated_one_keeps_its_decorator(restored: None) -> None:
    assert holm({"a": 0.5}) == {"a": 0.5}
    assert put_in_place(mutant_of(_tests, "holm", "        running = None"))
    assert holm({"a": 0.5}) == {"a": None}
    assert put_in_place(mutant_of(_attention, "looks", "    encoded = None"))
    with pytest.raises(TypeError):
        _attention.looks(None, None, [])  # type: ignore[arg-type]


def test_what_lies_outside_of_functions_has_to_be_imported(found: list[Mutant]) -> None:
    assert not put_in_place(next(mutant for mutant in found if not mutant.function))
