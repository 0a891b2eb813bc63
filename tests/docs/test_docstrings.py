"""Every public name has an example in its docstring, and what the examples show is what comes of them."""

import doctest
import inspect
import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import pinpoint
from pinpoint.artifacts import Workspace
from tests.conftest import ROOT
from tests.report.test_comparison import comparison
from tests.report.test_sweep import FOUND as SWEPT

REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
PUBLIC = {name for name in pinpoint.__all__ if not name.startswith("_")}
DIRECTIVES = re.findall(r"^\.\. auto(?:function|class|exception):: (\S+)$", REFERENCE, re.MULTILINE)
# Their examples, in this order, make what the others take as given.
FIRST = ("load", "ContrastPair", "locate")
# Their examples read a finished run.
OF_A_RUN = tuple(
    name for name in DIRECTIVES if name.startswith("read_") or name in ("Summary", "Knockout", "Comparison", "Sweep")
)


def named(name: str) -> Any:
    """What a directive of the reference names."""
    home, _, last = name.rpartition(".")
    return getattr(import_module(home or "pinpoint"), last)


def example(name: str, documented: Any, given: dict[str, Any]) -> doctest.DocTest:
    """The example of a docstring, which stands in a section of that name."""
    text = inspect.getdoc(documented) or ""
    found = doctest.DocTestParser().get_doctest(text, given, name, None, None)
    assert found.examples, f"{name} has no example"
    section = re.search(r"^Example:\n(?:(?:    .*)?(?:\n|\Z))+", text, re.MULTILINE)
    assert section is not None and section[0].count(">>> ") == text.count(">>> "), f"{name}: not under Example:"
    return found


def run(name: str, documented: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Runs an example; the names that it leaves."""
    told: list[str] = []
    found = example(name, documented, dict(given))
    left = doctest.DocTestRunner().run(found, out=told.append, clear_globs=False)
    assert not left.failed, "".join(told)
    return found.globs


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    """A model, its tokenizer, pairs and their scores, from the examples that make them."""
    names: dict[str, Any] = {"pinpoint": pinpoint}
    for name in FIRST:
        names = run(name, named(name), names)
    return names


@pytest.fixture
def demo(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = request.getfixturevalue("finished_run")
    shutil.copytree(finished, tmp_path / "runs" / "demo")
    for name, file, found in (("compared", "compare", comparison()), ("swept", "sweep", SWEPT)):
        folder = tmp_path / "runs" / name
        Workspace(folder / file).write_json(f"{file}.json", found)
        shutil.copy(finished / "config.yaml", folder)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [name for name in DIRECTIVES if name not in OF_A_RUN])
def test_an_example_shows_what_comes_of_it(name: str, given: dict[str, Any]) -> None:
    run(name, named(name), given)


@pytest.mark.parametrize("name", OF_A_RUN)
def test_an_example_of_a_finished_run_shows_what_comes_of_it(name: str, given: dict[str, Any], demo: None) -> None:
    run(name, named(name), given)


def test_every_public_name_is_in_the_reference_once() -> None:
    assert set(DIRECTIVES) >= PUBLIC and len(DIRECTIVES) == len(set(DIRECTIVES))


def returned() -> Iterator[str]:
    """The classes of ours that public functions return."""
    for name in DIRECTIVES:
        documented = named(name)
        if inspect.isfunction(documented):
            yield from re.findall(r"\b[A-Z]\w+", str(documented.__annotations__["return"]))


def test_what_public_functions_return_is_in_the_reference() -> None:
    there = {name.rpartition(".")[2] for name in DIRECTIVES}
    ours = set(returned()) - {"Any", "None", "Tensor"}
    assert {"HeadScores", "Joint", "SetSteps"} <= ours
    assert ours <= there, ours - there


def test_every_result_of_a_public_function_has_a_table_a_figure_and_a_view_for_notebooks() -> None:
    homes = {name.rpartition(".")[2]: name for name in DIRECTIVES}
    found = [re.findall(r"\b[A-Z]\w+", str(named(name).__annotations__["return"])) for name in PUBLIC if name.islower()]
    results = {name for names in found for name in names} - {"Loaded"}
    assert {"HeadScores", "FoundSet", "Joint", "Agreement", "Knockout", "Comparison", "Sweep", "Summary"} <= results
    for name in results:
        assert all(hasattr(named(homes[name]), view) for view in ("to_pandas", "plot", "_repr_html_")), name


def undocumented() -> None:
    """Does nothing."""


def misplaced() -> None:
    """Does nothing.

    >>> 1 + 1
    2
    """


def wrong() -> None:
    """Does nothing.

    Example:
        >>> 1 + 1
        3
    """


@pytest.mark.parametrize(
    ("documented", "told"),
    [(undocumented, "has no example"), (misplaced, "not under Example:"), (wrong, r"Expected:\s+3\s+Got:\s+2")],
)
def test_a_name_without_an_example_and_one_that_is_wrong_are_found(documented: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        run("it", documented, {})
