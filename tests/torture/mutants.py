"""Mutation testing of the engines, the metrics, the statistics and the head slices; run by `make mutants`.

Libraries and tests are loaded once; each mutant is put in place in a fork of that process, which runs the tests that
reach it, quickest first, and ends at the first that fails. What was tried is merged into bench/results/mutants.json.
"""

import argparse
import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.torture.mutant import Mutant
from tests.torture.mutate import mutants
from tests.torture.trying import Trial

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "pinpoint"
RESULTS = ROOT / "bench" / "results" / "mutants.json"
KEPT = ROOT / ".bench" / "mutants.jsonl"  # what became of each: those that were killed are not tried again
EQUIVALENT = Path(__file__).with_name("equivalent.json")

# Architectures that are left out: a few say enough of the engines, in a tenth of the time.
LEFT_OUT = ("gemma", "falcon", "granite", "mistral", "mixtral", "[mpt]", "neox", "olmo", "[opt]", "phi3", "qwen2")

# What is mutated together, and the tests of which those that reach a mutant are run on it.
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "statistics": (
        ("measure/_stats.py", "measure/_stability.py", "measure/_tests.py", "measure/_controls.py"),
        ("measure/test_stats.py", "measure/test_stability.py", "compare/test_search.py", "verify/test_curve.py"),
    ),
    "metrics": (
        ("measure/_metrics.py", "measure/_values.py", "measure/_forced.py", "locate/_agreement.py"),
        (
            "measure/test_metrics.py",
            "locate/test_engines.py",
            "locate/test_continuations.py",
            "locate/test_agreement.py",
        ),
    ),
    "shift": (
        ("measure/_shift.py", "measure/_attention.py"),
        ("measure/test_shift.py", "measure/test_deployment.py", "measure/test_attention.py", "test_memory.py"),
    ),
    "slices": (
        ("tune/_slices.py", "tune/_lora.py"),
        ("tune/test_slices.py", "tune/test_lora.py"),
    ),
    "sweep": (
        ("locate/_sweep.py", "locate/_naive.py", "locate/_prefix.py"),
        ("locate/test_engines.py", "locate/test_nodes.py", "locate/test_sets.py", "locate/test_continuations.py"),
    ),
    "paths": (
        ("locate/_paths.py", "locate/_naive_paths.py"),
        ("locate/test_paths.py",),
    ),
    "total": (
        ("locate/_activation.py", "locate/_attribution.py", "locate/_ends.py", "locate/_positions.py"),
        ("locate/test_activation.py",),
    ),
    "knockout": (
        ("locate/_knockout.py", "interventions/_after_heads.py"),
        ("locate/test_knockout.py",),
    ),
    "search": (
        ("locate/_sets.py", "locate/_baselines.py", "locate/_dealt.py"),
        ("locate/test_sets.py", "locate/test_baselines.py", "locate/test_dealt.py", "locate/test_shared.py"),
    ),
}


def _quick_settings() -> None:
    """Hypothesis: the same examples every time, and no search for the smallest that fails."""
    from hypothesis import Phase, settings

    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], derandomize=True, database=None)
    settings.load_profile("mutants")


def _drawn(path: Path, share: float, seed: int) -> tuple[list[Mutant], int]:
    """Some of a file's mutants, and how many there are."""
    every = mutants(path)
    some = random.Random(f"{seed} {path.name}").sample(range(len(every)), math.ceil(share * len(every)))
    return [every[i] for i in sorted(some)], len(every)


def _try_group(name: str, asked: argparse.Namespace, ends: float) -> None:
    sources, tests = GROUPS[name]
    drawn = {source: _drawn(SOURCE / source, asked.share, asked.seed) for source in sources}
    verdicts: dict[str, str] = {}
    for line in KEPT.read_text().splitlines() if KEPT.exists() else ():
        verdicts |= json.loads(line)

    def tell(mutant: Mutant, verdict: str) -> None:
        verdicts[mutant.key] = verdict
        with KEPT.open("a") as file:
            file.write(json.dumps({mutant.key: verdict}) + "\n")

    every = [mutant for some, _ in drawn.values() for mutant in some]
    left = [mutant for mutant in every if verdicts.get(mutant.key, "survived") == "survived"]
    random.Random(asked.seed).shuffle(left)
    left.sort(key=lambda mutant: mutant.key not in verdicts)  # survivors first: a test may have come for them
    if left and time.monotonic() < ends:
        files = [str(ROOT / "tests" / test) for test in tests]
        trial = Trial(left, asked.tests_for, ends, tell)
        quick = f"not ({' or '.join(LEFT_OUT)})"
        code = pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", "-k", quick, *files], plugins=[trial])
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            sys.exit(1)
    for source, (some, count) in drawn.items():
        _write(source, some, count, verdicts)


def _write(source: str, some: list[Mutant], count: int, verdicts: dict[str, str]) -> None:
    """Merges what became of one file's mutants into the results."""
    if not any(mutant.key in verdicts for mutant in some):
        return
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"files": {}}
    reasons = json.loads(EQUIVALENT.read_text()).get(source, {}) if EQUIVALENT.exists() else {}
    said = [verdicts[mutant.key] for mutant in some if mutant.key in verdicts]
    survived = []
    for mutant in (mutant for mutant in some if verdicts.get(mutant.key) == "survived"):
        change = mutant.change()
        row = {"line": mutant.line, "in": mutant.function, "change": change}
        survived.append(row | ({"equivalent": reasons[change]} if change in reasons else {}))
    results["files"][source] = {
        "mutants": count,
        "tried": len(said),
        "killed": len(said) - len(survived),
        "killed by the time limit": said.count("timeout"),
        "survived": survived,
    }
    RESULTS.write_text(json.dumps(_totals(results["files"]), indent=1, ensure_ascii=False) + "\n")
    print(f"{source}: {len(said) - len(survived)} of {len(said)} killed, of {count}")  # noqa: T201


def _totals(files: dict[str, Any]) -> dict[str, Any]:
    """The rate over all files, each weighed by its mutants, as a part of each may have been drawn."""
    every, tried, killed = (sum(one[key] for one in files.values()) for key in ("mutants", "tried", "killed"))
    rate = variance = 0.0
    for one in (one for one in files.values() if one["tried"]):
        weight, found = one["mutants"] / every, one["killed"] / one["tried"]
        rate += weight * found
        near = (one["killed"] + 1) / (one["tried"] + 2)  # none of a few that survives is no certainty
        left = 1 - one["tried"] / one["mutants"]
        variance += weight**2 * near * (1 - near) / one["tried"] * left
    half = 1.96 * math.sqrt(variance)
    equivalent = sum("equivalent" in row for one in files.values() for row in one["survived"])
    return {
        "mutants": every,
        "tried": tried,
        "killed": killed,
        "survived": tried - killed,
        "of them equivalent": equivalent,
        "rate": round(rate, 4),
        "interval": [round(rate - half, 4), round(min(1.0, rate + half), 4)],
        "files": dict(sorted(files.items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", help=f"some of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="of each file's mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--seconds", type=float, default=math.inf, help="to stop after; the next call goes on")
    parser.add_argument("--tests-for", type=float, default=10, help="seconds of tests for a mutant, at the most")
    parser.add_argument("--fresh", action="store_true", help="try those again that were killed before")
    asked = parser.parse_args()
    if unknown := set(asked.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    ends = time.monotonic() + asked.seconds
    os.chdir(ROOT)
    KEPT.parent.mkdir(exist_ok=True)
    if asked.fresh:
        KEPT.unlink(missing_ok=True)
    _quick_settings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a fork does not outlive this process
    for name in asked.groups or GROUPS:
        _try_group(name, asked, ends)


if __name__ == "__main__":
    main()
