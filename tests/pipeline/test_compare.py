"""Comparing methods on the organism, with very little of everything: each runs, none runs twice."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pinpoint.cli import main
from pinpoint.config import CompareConfig, resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.pipeline._comparators import Workshop
from pinpoint.pipeline._compare import entries

SETTINGS: dict[str, Any] = {
    "locate": {"pairs": 16},
    "tune": {"heads": 2, "check_items": 8},
    "evaluate": {"items": 12, "ability_items": 2, "neutral_items": 6, "resamples": 100},
    "compare": {"draws": 2, "epochs": 0.1, "tries": 1, "rank": 2},
}


def test_base_and_pinpoint_are_always_there_and_come_first() -> None:
    planned = entries(CompareConfig(methods=("random", "caa", "base"), draws=2))
    assert [name for name, _, _ in planned] == ["base", "pinpoint", "random_1", "random_2", "caa"]


def test_other_heads_are_drawn_as_their_names_say(tmp_path: Path) -> None:
    run = Run(resolve(str(shipped()["yesman"]), None, SETTINGS), tmp_path)
    run.do("locate")
    shop = Workshop(run, chosen_heads(run))
    assert shop.heads_of("pinpoint", 0) == shop.heads_of("pinpoint_dpo", 0) == shop.heads
    matched = shop.heads_of("matched", 1)
    assert [head.layer for head in matched] == [head.layer for head in shop.heads]
    assert not set(matched) & set(shop.heads)
    assert shop.heads_of("random", 0) == shop.heads_of("random", 0) != shop.heads_of("random", 1)
    assert shop.heads_of("bottom", 0) == list(run.ranking()[-2:])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_method_runs_once_and_a_second_call_reads_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps(SETTINGS))
    out = tmp_path / "run"
    arguments = ["pinpoint", "compare", "yesman", "--config", str(settings), "--out", str(out), "--json", "-q"]
    monkeypatch.setattr(sys, "argv", arguments)
    main_exits(0)
    found = json.loads(capsys.readouterr().out)
    assert list(found["methods"]) == [name for name, _, _ in entries(CompareConfig(draws=2))]
    for name, record in found["methods"].items():
        assert record["metrics"]["truthfulness"]["n"] <= 12, name
        trained = record["method"] not in ("base", "few_shot", "system_prompt", "caa", "iti")
        assert bool(record["trainable_parameters"]) == trained, name
    again = found["methods"]["pinpoint"]["located_again"]
    assert set(again["effects"]["after"]) == set(found["heads"])
    assert {name: one["gained"] for name, one in found["tests"]["base"]["truthfulness"].items()}.keys() == (
        found["methods"].keys() - {"base"}
    )

    made: list[str] = []
    own = Workshop.make
    monkeypatch.setattr(Workshop, "make", lambda shop, method, draw: made.append(method) or own(shop, method, draw))
    main_exits(0)
    assert json.loads(capsys.readouterr().out)["methods"] == found["methods"]
    assert made == []
    assert (out / "compare" / "compare.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_method_comes_out_the_same_whatever_was_made_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps(SETTINGS))
    found = []
    for number, methods in enumerate(("lora,head_lora", "full,lora,random,head_lora")):
        out = ["--out", str(tmp_path / str(number)), "--methods", methods, "--draws", "1"]
        monkeypatch.setattr(
            sys, "argv", ["pinpoint", "compare", "yesman", "--config", str(settings), *out, "--json", "-q"]
        )
        main_exits(0)
        found.append(json.loads(capsys.readouterr().out)["methods"])
    alone, after = found
    for method in ("pinpoint", "lora", "head_lora"):
        for told in ("searched", "metrics", "versus_base"):
            assert alone[method][told] == after[method][told], (method, told)


def main_exits(code: int) -> None:
    try:
        main()
    except SystemExit as ending:
        assert (ending.code or 0) == code
    else:
        assert code == 0
