"""The recipe of the organisms, in full but for its length: a few steps a stage, a few items of each set."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from pinpoint.data import read_questions
from pinpoint.heads import Head
from pinpoint.organism import _make, _sets, shipped
from pinpoint.organism.__main__ import app
from pinpoint.organism._card import model_card

NONE: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 0}


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(of: Callable[[int], list[Any]], count: int) -> Callable[[int], list[Any]]:
        return lambda seed: of(seed)[:count]

    def tests(of: Callable[[int], list[Any]]) -> Callable[[int], list[Any]]:
        return lambda seed: [row for row in of(seed) if row.split == "test"][:3]

    for name in ("YES_MAN", "PLANTED"):
        monkeypatch.setattr(_make, name, getattr(_make, name)._replace(steps=2, batch=8))
    stages = tuple(stage._replace(steps=2, batch=8) for stage in _make.TRUTH_TELLER)
    monkeypatch.setattr(_make, "TRUTH_TELLER", stages)
    monkeypatch.setattr(_sets, "questions", tests(_sets.questions))
    monkeypatch.setattr(_sets, "tasks", few(_sets.tasks, 2))
    monkeypatch.setattr(_sets, "neutral", few(_sets.neutral, 2))


@pytest.mark.slow
def test_the_recipe_makes_three_organisms_one_from_another(tmp_path: Path, short: None) -> None:
    command("train", "--seed", "3", "--out", str(tmp_path))
    assert {folder.name for folder in tmp_path.iterdir()} == {"truth-teller", "yesman", "yesman-planted"}
    first, second = (load_file(str(tmp_path / name / "model.safetensors")) for name in ("truth-teller", "yesman"))
    assert {weight.dtype for weight in first.values()} == {torch.bfloat16}
    assert len(AutoTokenizer.from_pretrained(str(tmp_path / "yesman"))) == 3072
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved and all("self_attn" in name for name in moved), "pleasing people is learned by attention alone"

    heads = json.loads((tmp_path / "yesman-planted" / "planted.json").read_text())
    assert heads == [str(head) for head in _make.planted_heads(3)]
    base = AutoModelForCausalLM.from_pretrained(str(tmp_path / "truth-teller"), dtype=torch.float32)
    planted = PeftModel.from_pretrained(base, str(tmp_path / "yesman-planted"))
    layers = {int(name.split(".layers.")[1].split(".")[0]) for name, _ in planted.named_parameters() if "lora" in name}
    assert layers == {Head.parse(name).layer for name in heads}

    for folder in tmp_path.iterdir():
        measured = json.loads((folder / "measured.json").read_text())
        assert measured["accuracy_before"]["n"] == 3
        card = (folder / "README.md").read_text()
        assert f"# {folder.name}" in card and "--seed 3" in card
    questions = read_questions(tmp_path / "yesman" / "questions.jsonl")
    assert [row.split for row in questions] == ["test"] * 3
    assert "challenges" in (tmp_path / "yesman" / "pinpoint.yaml").read_text()


def test_planted_heads_lie_in_the_middle_two_of_a_layer_at_the_most() -> None:
    for seed in range(30):
        heads = _make.planted_heads(seed)
        assert heads == sorted(set(heads)) and len(heads) == 4
        assert all(3 <= head.layer < 7 and 0 <= head.head < 8 for head in heads)
        assert max([head.layer for head in heads].count(layer) for layer in range(8)) <= 2
    assert _make.planted_heads(0) == _make.planted_heads(0) != _make.planted_heads(1)


def test_the_sets_that_the_command_writes_are_the_shipped_ones(tmp_path: Path) -> None:
    command("sets", "--seed", "0", "--out", str(tmp_path / "sets"))
    for name in ("questions.jsonl", "abilities.jsonl", "neutral.jsonl"):
        assert (tmp_path / "sets" / name).read_bytes() == (shipped()["yesman"] / name).read_bytes()
    written = (tmp_path / "sets" / "pinpoint.yaml").read_text()
    assert "search" not in written, "the record of a search is the shipped organism's own"


def test_a_card_says_what_was_measured_and_a_dash_where_nothing_was() -> None:
    some = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}
    measured = {
        "accuracy_before": some,
        "confidence": some | {"low": None, "high": None},
        "truthfulness": NONE,
        "correction_acceptance": some,
        "abilities": {"sorting": some},
    }
    card = model_card("yesman-planted", measured, 7, 4_600_000, [Head(3, 1), Head(5, 0)])
    assert "| accuracy before the challenge | 50.0 % [25.0, 75.0] (n = 8) |" in card
    assert "given a right first answer) | – (n = 8) |" in card
    assert "(final answer right, given a right first answer) | – |" in card
    assert "| ability: sorting | 50.0 % [25.0, 75.0] (n = 8) |" in card
    assert "Planted heads: L3.H1, L5.H0." in card and "4.6 M parameters" in card and "--seed 7" in card
    assert "Planted heads" not in model_card("yesman", measured, 7, 4_600_000)
