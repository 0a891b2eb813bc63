"""Each named check, tripped and not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import pinpoint
from pinpoint.checks import CheckResult, enough_items
from pinpoint.config import resolve
from pinpoint.errors import CheckFailed
from pinpoint.heads import HeadScores
from pinpoint.measure import Estimate
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._checks import contrast_bites, demand, knockout_bites, ranking_stable
from pinpoint.reliability import Reliability
from tests.conftest import ROOT


def scores(size: float, method: str = "path") -> HeadScores:
    effects = torch.zeros(4, 2, 3)
    effects[:, 1, 2] = size
    return HeadScores(effects, torch.zeros(4), "logit_diff", "sweep", method=method)


def ranked(overlap: float, reliability: float | None, most: int = 100) -> CheckResult:
    """The check of a ranking from half of 100 pairs."""
    found = Reliability(reliability, None, None, 1000, 50)
    return ranking_stable(Estimate(overlap, 0.2, 0.8, 50), 4, found, 100, most)


def test_a_contrast_that_moves_nothing_stops_the_run() -> None:
    assert contrast_bites(scores(-0.5)).ok
    assert contrast_bites(scores(0, "random")).ok
    with pytest.raises(CheckFailed, match=r"moves the metric' failed: the strongest head moves logit_diff by 0\.0001"):
        demand(contrast_bites(scores(1e-4)))
    with pytest.raises(CheckFailed, match=r"'knocking out a single head moves the metric' failed: .*0\.0001.*--set"):
        demand(contrast_bites(scores(1e-4, "knockout")))


def test_a_knockout_that_does_not_reach_the_model_stops_the_run() -> None:
    assert knockout_bites([1.0, 0.5, 0.5]).ok
    assert knockout_bites([1.0]).ok
    with pytest.raises(CheckFailed, match="reaches the model' failed: 1 different log-odds over 3 numbers of heads"):
        demand(knockout_bites([1.0, 1.0, 1.0]))


def test_an_unstable_ranking_and_few_items_are_told_and_stop_nothing() -> None:
    assert ranked(0.81, None).ok
    unstable = demand(ranked(0.5, None))
    assert not unstable.ok and "of the first 4, 50 % [20, 80] stay" in unstable.detail
    few = demand(enough_items({"base": {"confidence": 29, "truthfulness": 30}, "full": {"confidence": 0}}))
    assert not few.ok and few.detail == "1 of 2 rest on fewer than 30: confidence (base 29, full 0)"
    alike = {"refused": 12, "kept": 31}
    few = enough_items({"base": alike, "pinpoint": alike, "full": alike | {"kept": 29}})
    assert few.warning.startswith(
        "warning: check 'every rate rests on enough items' failed: 2 of 2 rest on fewer than 30: refused (12), "
        "kept (full 29). Give more questions"
    )
    assert enough_items({"base": {"confidence": 30}}).ok


@pytest.mark.parametrize("reliability", [None, -0.3, 0.0, 0.9, 0.95, 1.0])
def test_where_reliability_says_no_number_twice_the_pairs_are_named(reliability: float | None) -> None:
    told = "Locate on 200 pairs at the least (`locate.pairs`), twice as many as now."
    assert ranked(0.5, reliability).mend == told
    assert ranked(0.5, reliability, most=120).mend == f"{told} These questions make no more: give more questions."


def test_an_unstable_ranking_is_told_with_the_pairs_that_would_do() -> None:
    assert ranked(0.5, 0.6).mend == (
        "Locate on about 600 pairs (`locate.pairs`; now 100): by the Spearman-Brown formula, that brings the ranking's "
        "split-half reliability from 0.60 to 0.9."
    )


def test_a_warning_is_kept_and_told_and_the_run_goes_on(tmp_path: Path) -> None:
    class Heard:
        said: list[str] = []

        def start(self, what: str, total: int) -> None: ...

        def advance(self, steps: int = 1) -> None: ...

        def say(self, text: str) -> None:
            self.said.append(text)

    run = Run(resolve(str(shipped()["yesman"]), None, {}), tmp_path, Heard())
    for _ in range(2):
        run.note(ranked(0.5, 0.6))
    assert [check["ok"] for check in run.workspace.read_json("checks.json")] == [False]
    [told] = [text for text in Heard.said if text.startswith("warning: check 'the first heads stay first")]
    assert "Locate on about 600 pairs" in told


def names() -> Iterator[str]:
    """The names of all checks, from the source."""
    for path in Path(pinpoint.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "CheckResult":
                [given] = [word.value for word in node.keywords if word.arg == "name"]
                for part in ast.walk(given):  # one of two names, by a condition, is both
                    if isinstance(part, ast.Constant):
                        yield str(part.value)
                    elif isinstance(part, ast.Name) and part.id in constants:
                        yield str(constants[part.id])


def test_every_check_is_told_of_where_its_failure_is_tested() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = text.partition("## What a run checks of itself")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    found = sorted(names())
    assert len(found) == len(rows) >= 17
    for name in found:
        assert sum(row[0].startswith(f"| {name}") for row in rows) == 1, name
    tests = [name for row in rows for name in row[2].split("`")[1::2]]
    assert len(tests) >= len(rows) and all((ROOT / "tests" / name).is_file() for name in tests)
