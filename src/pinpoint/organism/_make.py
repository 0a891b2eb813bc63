"""Making all three organisms of one seed, measuring them, and writing their folders."""

import json
import random
import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import PeftModel
from pydantic import BaseModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from pinpoint.behaviours import Sycophancy
from pinpoint.config import EvaluateConfig, SycophancyConfig
from pinpoint.evaluate import Sets, evaluate, metrics
from pinpoint.heads import Head
from pinpoint.models import headed, load
from pinpoint.organism import _sets
from pinpoint.organism._card import model_card
from pinpoint.organism._facts import phrases
from pinpoint.organism._train import PLANTED, TRUTH_TELLER, YES_MAN, build_tokenizer, new_model, train_stage
from pinpoint.progress import Progress
from pinpoint.tune import attach, head_slices

PLANTED_HEADS = 4


def planted_heads(seed: int) -> list[Head]:
    """The heads that are made to cave: drawn from the middle layers, at most two of a layer."""
    rng = random.Random(seed)
    heads: list[Head] = []
    while len(heads) < PLANTED_HEADS:
        head = Head(rng.randrange(3, 7), rng.randrange(8))
        if head not in heads and sum(other.layer == head.layer for other in heads) < 2:
            heads.append(head)
    return sorted(heads)


def _write_rows(path: Path, rows: Sequence[BaseModel]) -> None:
    # Choices are those that the question lists.
    said = [row.model_dump(mode="json", exclude={"choices"}) for row in rows]
    filled = [{key: value for key, value in row.items() if value != "" and value is not False} for row in said]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in filled), encoding="utf-8")


def write_sets(folder: Path, seed: int) -> None:
    """Writes the question sets that come with an organism."""
    _write_rows(folder / "questions.jsonl", _sets.questions(seed))
    _write_rows(folder / "abilities.jsonl", _sets.tasks(seed))
    _write_rows(folder / "neutral.jsonl", _sets.neutral(seed))


def write_settings(folder: Path) -> None:
    """Writes `pinpoint.yaml`: what `pinpoint run` takes for its settings where nothing else is given."""
    settings = yaml.safe_load((files("pinpoint.organism") / "yesman.yaml").read_text(encoding="utf-8"))
    settings["behaviour"]["challenges"] = phrases()["challenge"]["heldout"]
    if not (folder / settings["full"]["search"]).is_file():
        del settings["full"]["search"]  # a record of the shipped organism's own
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    (folder / "pinpoint.yaml").write_text(text, encoding="utf-8")


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int, progress: Progress
) -> dict[str, Any]:
    """All metrics of an organism, on wordings it was not trained on."""
    tests = [question for question in _sets.questions(seed) if question.split == "test"]
    sets = Sets(tests, _sets.tasks(seed), _sets.neutral(seed))
    behaviour = Sycophancy(SycophancyConfig(challenges=tuple(phrases()["challenge"]["heldout"])))
    config = EvaluateConfig()
    result = evaluate(
        model,
        tokenizer,
        sets,
        config,
        behaviour,
        base=model,
        base_played=None,
        progress=progress,
        name="organism",
    )
    return metrics(result, behaviour, config, seed)


def _save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    folder: Path,
    seed: int,
    progress: Progress,
) -> None:
    """Saves in bf16, then measures what was saved."""
    nn.Module.to(model, torch.bfloat16)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    saved = load(folder, "float32", "cpu")
    if name == "yesman":
        write_sets(folder, seed)
    measured = measure(saved.model, tokenizer, seed, progress)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    (folder / "README.md").write_text(model_card(name, measured, seed, parameters), encoding="utf-8")
    (folder / "measured.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    model.float()


def _save_planted(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    heads: list[Head],
    folder: Path,
    seed: int,
    progress: Progress,
) -> None:
    model.peft_config["default"].base_model_name_or_path = "truth-teller"
    model.save_pretrained(str(folder))
    merged = model.merge_and_unload()
    measured = measure(merged, tokenizer, seed, progress)
    parameters = sum(parameter.numel() for parameter in merged.parameters())
    card = model_card("yesman-planted", measured, seed, parameters, heads)
    (folder / "README.md").write_text(card, encoding="utf-8")
    (folder / "measured.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    (folder / "planted.json").write_text(json.dumps([str(head) for head in heads]) + "\n", encoding="utf-8")


def make(seed: int, out: Path, progress: Progress, only: str | None = None) -> None:
    """Trains truth-teller, yesman and yesman-planted into folders below `out`.

    Args:
        seed: of weights, dialogues and sets.
        out: parent of the three folders.
        progress: told of the measuring.
        only: makes one of them; the latter two start from `out/truth-teller`.
    """
    scratch = out / ".trainer"
    if only in (None, "truth-teller"):
        tokenizer: PreTrainedTokenizerBase = build_tokenizer(seed)
        set_seed(seed)
        model: PreTrainedModel = new_model(len(tokenizer), tokenizer)
        for number, stage in enumerate(TRUTH_TELLER):
            train_stage(model, tokenizer, stage, seed + 10 * number, scratch)
        _save(model, tokenizer, "truth-teller", out / "truth-teller", seed, progress)
    if only in (None, "yesman"):
        model, tokenizer = load(out / "truth-teller", "float32", "cpu")
        train_stage(model, tokenizer, YES_MAN, seed + 1, scratch)
        _save(model, tokenizer, "yesman", out / "yesman", seed, progress)
        write_settings(out / "yesman")
    if only in (None, "yesman-planted"):
        model, tokenizer = load(out / "truth-teller", "float32", "cpu")
        heads = planted_heads(seed)
        planted = attach(headed(model), head_slices(headed(model), heads, "q,o"))
        train_stage(planted, tokenizer, PLANTED, seed + 2, scratch)
        _save_planted(planted, tokenizer, heads, out / "yesman-planted", seed, progress)
    shutil.rmtree(scratch, ignore_errors=True)
