"""The replication on GPT-2 small's task, on stand-ins: a random one, and one that holds heads of known effects."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pinpoint.heads import Head
from pinpoint.models import headed
from tests.conftest import ROOT


@pytest.fixture
def ioi(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import ioi

    yield ioi


def test_the_stand_in_runs_the_script_says_so_and_keeps_nothing(
    ioi: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(ioi, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["ioi.py", "--stand-in", "--pairs", "3"])
    ioi.main()
    out = capsys.readouterr().out
    assert "a random stand-in: these ranks say nothing about GPT-2, and are not kept" in out
    assert not list(tmp_path.rglob("*"))
    record = json.loads(re.search(r"^\{.*^\}", out, re.M | re.S)[0])  # type: ignore[index]
    heads = [head for kind in record["published"].values() for head in kind["heads"]]
    assert len(heads) == len(set(heads)) == 26 and len(record["published"]) == 7, "figure 2 has 26 heads of 7 classes"
    for name, kind in record["published"].items():
        ranks = [one["rank"] for one in kind["heads"].values()]
        assert len(set(ranks)) == len(ranks) and min(ranks) >= 1 and max(ranks) <= 12 * 12, name
        told = kind["agreement"]
        assert told["heads"] == len(ranks) and told["others"] == 12 * 12 - 26 and 0 <= told["auroc"] <= 1
        assert f"{name} by {kind['by']}: AUROC {told['auroc']:.2f}, precision at {len(ranks)} " in out
    first = record["published"]["S-inhibition heads"]["heads"]
    assert all(one["effect"] != 0 for one in first.values()), "they have paths into the name movers' queries"
    assert len({json.dumps(one["first"]) for one in record["maps"].values()}) == 4, "four maps that are not the same"


def _copying(model: Any, head: Head, sign: int) -> None:
    """Has a head write what it attends to, or its opposite: the subject's name stands there twice, the other's once."""
    view, (width, size) = headed(model), (96, 8)
    block = model.transformer.h[head.layer].attn
    inwards = torch.linalg.qr(torch.randn(width, size, generator=torch.Generator().manual_seed(head.head)))[0]
    _, values = view.projection_slice(head.layer, "v", head.head)
    _, out = view.projection_slice(head.layer, "o", head.head)
    with torch.no_grad():
        block.c_attn.weight[:, list(values)] = inwards
        block.c_proj.weight[list(out)] = sign * 0.05 * inwards.T


def _agreed(ioi: ModuleType, sign: int) -> dict[str, dict[str, float]]:
    """What the script says of a stand-in whose name movers oppose the name that comes twice, if `sign` is 1."""
    model, tokenizer = ioi.stand_in()
    for name, towards in (("name movers", -sign), ("negative name movers", sign)):
        for head in ioi.PUBLISHED[name].heads:
            _copying(model, Head.parse(head), towards)
    [scores] = [ioi.pinpoint.locate(model, tokenizer, ioi.pairs(tokenizer, 24))]
    return {name: ioi._class(ioi.PUBLISHED[name], scores) for name in ("name movers", "negative name movers")}


def test_heads_of_known_effects_are_told_apart_and_of_the_wrong_sign_are_not(ioi: ModuleType) -> None:
    for kind in _agreed(ioi, 1).values():
        told = kind["agreement"]
        assert told["auroc"] > 0.95 and told["published_sign"] == told["heads"], kind
        assert all(kind["sign"] * one["effect"] > 0 for one in kind["heads"].values())
    for kind in _agreed(ioi, -1).values():
        assert kind["agreement"]["auroc"] < 0.05 and kind["agreement"]["published_sign"] == 0, kind
        assert kind["agreement"]["precision_at_k"] == 0


def test_agreement_is_that_of_a_known_ranking_and_ties_do_not_count_for_the_class(ioi: ModuleType) -> None:
    kind = ioi.Class(("L7.H3", "L7.H9", "L8.H6", "L8.H10"), ioi.QUERIES, -1)
    others = {f"L1.H{i}": 0.0 for i in range(4)}
    effects = {"L7.H3": -3.0, "L7.H9": -2.0, "L8.H6": 0.0, "L8.H10": 1.0, "L9.H9": -9.0} | others
    assert ioi.agreement(kind, effects) == {
        "auroc": (4 + 4 + 2 + 0) / 16,
        "precision_at_k": 0.5,
        "heads": 4,
        "others": 4,
        "published_sign": 2,
    }


def test_name_movers_put_out_nothing_once_they_are_silenced(ioi: ModuleType) -> None:
    model, tokenizer = ioi.stand_in()
    heads = [Head.parse(head) for head in ioi.PUBLISHED["name movers"].heads]
    some = ioi.pairs(tokenizer, 2)
    before, after = (
        {str(row.head): row.effect for row in ioi.pinpoint.locate(one, tokenizer, some).to_pandas().itertuples()}
        for one in (model, ioi.silenced(model, heads))
    )
    assert {head for head, effect in after.items() if effect == 0} == {str(head) for head in heads}
    assert 0 not in before.values()


def test_either_a_model_or_the_stand_in_has_to_be_asked_for(
    ioi: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ioi.py"])
    with pytest.raises(SystemExit):
        ioi.main()
    assert "one of the arguments --model --stand-in is required" in capsys.readouterr().err


def test_names_are_where_the_task_has_them(ioi: ModuleType) -> None:
    for pair in ioi.pairs(ioi.stand_in()[1], 8):
        subject, other = pair.wanted.strip(), pair.unwanted.strip()
        assert pair.reference.count(subject) == 2 and pair.reference.count(other) == 1
        assert subject not in pair.counterfactual and other not in pair.counterfactual
