"""The replication on GPT-2 small's task, on its stand-in: the script runs, and claims nothing."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_the_stand_in_runs_the_script_says_so_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import ioi

    monkeypatch.setattr(ioi, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["ioi.py", "--stand-in", "--pairs", "4"])
    ioi.main()
    out = capsys.readouterr().out
    assert "a random stand-in: these ranks say nothing about GPT-2, and are not kept" in out
    assert not list(tmp_path.rglob("*"))
    record = json.loads(re.search(r"^\{.*^\}", out, re.M | re.S)[0])  # type: ignore[index]
    ranks = [one["rank"] for heads in record["published"].values() for one in heads.values()]
    assert len(set(ranks)) == 13 and min(ranks) >= 1 and max(ranks) <= 12 * 12, "every published head has its own rank"


def test_either_a_model_or_the_stand_in_has_to_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import ioi

    monkeypatch.setattr(sys, "argv", ["ioi.py"])
    with pytest.raises(SystemExit):
        ioi.main()
    assert "one of the arguments --model --stand-in is required" in capsys.readouterr().err


def test_names_are_where_the_task_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import ioi

    for pair in ioi.pairs(ioi.stand_in()[1], 8):
        subject, other = pair.wanted.strip(), pair.unwanted.strip()
        assert pair.reference.count(subject) == 2 and pair.reference.count(other) == 1
        assert subject not in pair.counterfactual and other not in pair.counterfactual
