"""The figures of docs/reliability.md are those of the records, and of the tests that it names."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import chain
from typing import Any

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TRIED = TEXT.partition("## What was tried")[2].partition("\n## ")[0]
STAGES = {
    "start": "while starting",
    "locate": "in locate",
    "verify": "in verify",
    "tune": "in tune",
    "tune_full": "in full fine-tuning",
    "evaluate": "in evaluate",
    "report": "while writing the page",
}
SOAKED = {"locate": "sweeps", "evaluate": "evaluations", "thrown": "rounds of work that is thrown out of"}


def record(name: str) -> Any:
    return json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def row(name: str) -> str:
    """The row of the table that names a record, as one line."""
    [found] = [line for line in TRIED.splitlines() if f"bench/results/{name}.json" in line]
    return found


def test_kills() -> None:
    found = record("kills")
    assert sum(found["stages"].values()) == found["kills"] >= 60
    by_stage = ", ".join(f"{found['stages'][stage]} {where}" for stage, where in STAGES.items())
    assert f"{found['kills']} processes over {found['runs']} runs" in row("kills") and by_stage in row("kills")


def test_faults_of_the_disk() -> None:
    found = record("disk")
    kinds, stages = Counter[str](), Counter[str]()
    for where, n in found["where"].items():
        kind, _, stage = where.split()
        kinds[kind] += n
        stages[stage] += n
    assert stages.keys() == STAGES.keys() and kinds.total() == found["faults"] >= 60
    told = (
        f"{found['faults']} of the {found['changes']:,} changes that the run makes ({kinds['ENOSPC']} ENOSPC, "
        f"{kinds['EIO']} EIO), {min(stages.values())} to {max(stages.values())} in every stage, "
        f"{found['again']} with a second fault"
    )
    assert told in row("disk")
    assert ", ".join(f"{float(share):.0%}".rstrip("%") for share in list(found["full"])[:-1]) in TRIED


def test_soaks() -> None:
    for name, one in record("soak").items():
        _, half, last = one["megabytes"]
        growth = one["growth_after_half"]
        told = f"{half:.1f} MB after {one['times'] // 2}, {last:.1f} MB after {one['times']} ({growth:+.2%})"
        assert f"{one['times']} {SOAKED[name]}: {told.replace('%', ' %')}" in row("soak"), name
        assert growth < 0.02


def test_mutants() -> None:
    found, told = record("mutants"), row("mutants")
    low, high = found["interval"]
    assert f"| {found['tried']:,} of {found['mutants']:,}, drawn at random |" in told
    assert f"{found['killed']:,} killed: {found['rate']:.1%} [{low:.1%}, {high:.1%}]" in told
    slices = ("tune/_slices.py", "tune/_lora.py")
    groups = {"locate": ("locate/", "interventions/"), "measure": ("measure/",), "head slices": slices}
    for name, begins in groups.items():
        some = [one for path, one in found["files"].items() if path.startswith(begins)]
        assert f"{name} {sum(one['killed'] for one in some)} of {sum(one['tried'] for one in some)}" in told
    assert f"Of the {found['survived']} survivors {found['of them equivalent']} cannot be told from the code" in told


def test_cases_are_as_many_as_the_tests_that_are_named() -> None:
    told = {}
    for line in TRIED.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        command = re.fullmatch(
            r"`pytest ((?:tests/(?:bad_input|test_endpoint|pipeline/test_\w+)\S*\s?)+)`", cells[-1].strip("| ")
        )
        if command and cells[1].isdigit():
            told[tuple(command[1].split())] = int(cells[1])
    assert len(told) == 3
    listing = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--runslow", *chain(*told)]
    listed = subprocess.run(listing, capture_output=True, text=True, cwd=ROOT, check=True).stdout.splitlines()
    assert {named: sum(line.startswith(named) for line in listed) for named in told} == told
