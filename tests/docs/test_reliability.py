"""The figures of docs/reliability.md are those of the records, and of the tests that it names."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TRIED = TEXT.partition("## What was tried")[2].partition("\n## ")[0]
NAMES = {"start": "while starting", "tune_full": "in full fine-tuning", "report": "while writing the page"}


def record(name: str) -> Any:
    return json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def row(name: str) -> str:
    """The row of the table that names a record, as one line."""
    [found] = [line for line in TRIED.splitlines() if f"bench/results/{name}.json" in line]
    return found


def named(stage: str) -> str:
    return NAMES.get(stage, f"in {stage}")


def test_kills() -> None:
    found = record("kills")
    inside = found["kills"] - found["stages"]["start"]
    assert inside >= 60 and min(found["stages"].values()) > 0
    by_stage = ", ".join(f"{n} {named(stage)}" for stage, n in found["stages"].items())
    assert f"{found['kills']} processes over {found['runs']} runs, {inside} of them inside a stage: {by_stage}" in row(
        "kills"
    )
    assert f"{found['while texts were written']} of those in tune while texts were being written" in row("kills")


def test_disk() -> None:
    found, told = record("disk"), row("disk")
    kinds = {"ENOSPC": 0, "EIO": 0}
    for where, n in found["where"].items():
        kinds[where.split()[0]] += n
        assert n >= 3, where
    assert sum(kinds.values()) == found["faults"] and len(found["where"]) == 2 * 7
    assert f"{found['faults']} of {found['changes']:,} changes" in told
    assert (
        f"{kinds['ENOSPC']} by a full disk and {kinds['EIO']} by a failing one, at least {min(found['where'].values())}"
        in told
    )
    assert f"{len(found['full'])} file systems" in told and found["full"]


def test_soak() -> None:
    found, told = record("soak"), row("soak")
    for name, what in (("locate", "sweeps"), ("evaluate", "evaluations"), ("thrown", "rounds of")):
        one = found[name]
        _, half, last = one["megabytes"]
        assert f"{one['times']} {what}" in told
        assert (
            f"in {one['seconds']:.0f} s: {half:.1f} MB after {one['times'] // 2}, {last:.1f} MB after {one['times']} "
            f"({100 * one['growth_after_half']:+.2f} %)"
        ) in told, name
        assert one["growth_after_half"] < 0.02


def test_mutants() -> None:
    found, told = record("mutants"), row("mutants")
    low, high = found["interval"]
    assert f"| {found['tried']:,} of {found['mutants']:,}, drawn at random |" in told
    assert f"{found['killed']} killed: {found['rate']:.1%} [{low:.1%}, {high:.1%}]" in told
    slices = ("tune/_slices.py", "tune/_lora.py")
    groups = {"locate": ("locate/", "interventions/"), "measure": ("measure/",), "head slices": slices}
    for name, begins in groups.items():
        some = [one for path, one in found["files"].items() if path.startswith(begins)]
        assert f"{name} {sum(one['killed'] for one in some)} of {sum(one['tried'] for one in some)}" in told
    assert f"Of the {found['survived']} survivors {found['of them equivalent']} cannot be told from the code" in told


@pytest.mark.slow
def test_cases_are_as_many_as_the_tests_that_are_named() -> None:
    counted = 0
    for line in TRIED.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        command = re.fullmatch(
            r"`pytest ((?:tests/(?:bad_input|test_endpoint|pipeline/test_\w+)\S*\s?)+)`", cells[-1].strip("| ")
        )
        if command is None or not cells[1].isdigit():
            continue
        listed = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--runslow", *command[1].split()]
        told = subprocess.run(listed, capture_output=True, text=True, cwd=ROOT, check=True).stdout
        assert re.search(r"(\d+) tests collected", told)[1] == cells[1], line  # type: ignore[index]
        counted += 1
    assert counted == 3
