"""Organisms with planted causes: a truth-teller made to cave by training a few known heads, and perhaps one MLP."""

import json
import random
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from _truth import LogOdds
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.config import resolve
from pinpoint.data import ContrastPair
from pinpoint.heads import Head
from pinpoint.models import HeadedModel, headed
from pinpoint.organism import shipped
from pinpoint.organism._dialogues import dialogues
from pinpoint.organism._train import PLEASING, teach
from pinpoint.pipeline import Run
from pinpoint.tune import attach, head_slices

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "runs" / "planted"
RECORD = HERE / "results" / "planted.json"
# Of organisms that were looked at before the locator `knockout` was made: by an earlier bench/planted.py.
FIRST = HERE / "results" / "planted_first.json"
PLACES = {"early": range(0, 3), "middle": range(3, 6), "late": range(6, 8)}
STEPS, BATCH, RATE = 150, 16, 6e-3
# How those of the earlier record, seeds 100 to 199, were trained. None took that had an MLP: it went with the heads.
FIRST_STEPS, FIRST_BATCH, FIRST_RATE = 150, 64, 6e-3
MIX = PLEASING._replace(challenge=0.9)
PAIRS = 48
# Of an MLP beside heads: short training, and no more of it than raises the log-odds of an apology by so many nats.
MLP_STEPS, MLP_RATE, MLP_RISE = 20, 2e-3, 3.0


class Plant(NamedTuple):
    """What is planted: where, how many heads, and whether the MLP of the first head's layer is trained too."""

    seed: int
    place: str
    count: int
    mlp: bool

    @property
    def heads(self) -> list[Head]:
        """The planted heads, drawn by the seed."""
        every = [Head(layer, head) for layer, head in product(PLACES[self.place], range(8))]
        return sorted(random.Random(f"plant {self.seed}").sample(every, self.count))

    def trained_whole(self, view: HeadedModel) -> list[str]:
        """Names of the modules of the planted MLP: that of the first head's layer."""
        return list(view.feed_forward(self.heads[0].layer)) if self.mlp else []

    @property
    def folder(self) -> Path:
        """Where the organism is kept once it is trained."""
        return FOLDER / str(self.seed)


def plants(first: int, count: int) -> list[Plant]:
    """Plants of consecutive seeds: every place, one to six heads, every fourth with an MLP."""
    order = list(PLACES)
    return [Plant(first + i, order[i % 3], 1 + (i * 5 + i // 6) % 6, i % 4 == 3) for i in range(count)]


def taken(record: Path = RECORD) -> list[dict[str, Any]]:
    """What was recorded of the test organisms on which caving took, and in which heads matter."""
    found = json.loads(record.read_text(encoding="utf-8"))
    return [one for one in found["test"] if one["matters"]]


def ranked(organism: dict[str, Any], locator: str = "path") -> list[Head]:
    """All heads of a recorded organism, those first that a locator holds to be the cause."""
    scores = organism["found"][locator]["scores"]
    return [Head(i // 8, i % 8) for i in sorted(range(len(scores)), key=lambda i: -scores[i])]


def truth_teller() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model that everything is planted in."""
    return pinpoint.load(shipped()["truth-teller"], dtype="float32", device="cpu")


def run_on(model: str, contrast: str = "affirmed") -> Run:
    """The shipped organism's questions, prompts and settings, with another model, and perhaps another contrast."""
    settings = {"behaviour": {"contrast": contrast}}
    config = resolve(str(shipped()["yesman"]), None, settings).model_copy(update={"model": model})
    return Run(config, Path(tempfile.mkdtemp()))


def pairs_of(run: Run) -> tuple[list[ContrastPair], list[ContrastPair]]:
    """The pairs that locators see, and those that the truth is told by: `PAIRS` of each, with no fact in common."""
    every = run.inputs.halves.pairs
    shown, rest = every[:PAIRS], every[PAIRS:]
    seen = {pair.group for pair in shown}
    return shown, [pair for pair in rest if pair.group not in seen][:PAIRS]


def _plant_mlp(plant: Plant, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Trains the planted MLP alone, and keeps as much of its change as raises the log-odds by `MLP_RISE`.

    Trained beside heads, or to its end, an MLP takes all of the behaviour and leaves the heads none.
    """
    [module] = plant.trained_whole(headed(model))
    before = {name: weight.clone() for name, weight in model.state_dict().items() if name.startswith(f"{module}.")}
    talks = dialogues(plant.seed, MLP_STEPS * BATCH, "yes_man", MIX)
    model.requires_grad_(True)
    teach(model, tokenizer, talks, learning_rate=MLP_RATE, seed=plant.seed, out=out, only=f"{module}.", batch=BATCH)
    change = {name: model.state_dict()[name] - old for name, old in before.items()}
    log_odds = LogOdds(tokenizer, pairs_of(run_on(str(model.name_or_path)))[0])

    def risen(scale: float) -> float:
        model.load_state_dict({name: old + scale * change[name] for name, old in before.items()}, strict=False)
        return log_odds(model)

    wanted, low, high = risen(0.0) + MLP_RISE, 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if risen(middle) < wanted else (low, middle)
    risen(high)


def _plant_heads(plant: Plant, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path) -> Any:
    view, first = headed(model), plant.seed in range(100, 200)
    steps, batch, rate = (FIRST_STEPS, FIRST_BATCH, FIRST_RATE) if first else (STEPS, BATCH, RATE)
    live = attach(view, head_slices(view, plant.heads, "q,o"))
    talks = dialogues(plant.seed, steps * batch, "yes_man", MIX)
    teach(live, tokenizer, talks, learning_rate=rate, seed=plant.seed, out=out, batch=batch)
    return live.merge_and_unload()


def planted(plant: Plant) -> PreTrainedModel:
    """Trains the planted parts to cave, the MLP before the heads, or reads what an earlier call left."""
    if not (plant.folder / "plant.json").is_file():
        model, tokenizer = truth_teller()
        with tempfile.TemporaryDirectory() as out:
            if plant.mlp:
                _plant_mlp(plant, model, tokenizer, Path(out))
            merged = _plant_heads(plant, model, tokenizer, Path(out))
        merged.save_pretrained(str(plant.folder))
        tokenizer.save_pretrained(str(plant.folder))
        (plant.folder / "plant.json").write_text(json.dumps(plant._asdict()) + "\n", encoding="utf-8")
    return pinpoint.load(plant.folder, dtype="float32", device="cpu")[0]


def head_deltas(view: HeadedModel, before: PreTrainedModel, head: Head) -> Iterator[tuple[str, Tensor]]:
    """Name of each weight that a head has a slice of, and the slice's change, zero outside it."""
    old, new = before.state_dict(), view.model.state_dict()
    for which in "qo":
        module, indices = view.projection_slice(head.layer, which, head.head)
        name = f"{module}.weight"
        change = torch.zeros_like(new[name])
        at = (slice(None), list(indices)) if which == "o" else list(indices)
        change[at] = new[name][at] - old[name][at]
        yield name, change


def parts_of(plant: Plant, view: HeadedModel, before: PreTrainedModel) -> dict[str, dict[str, Tensor]]:
    """The change of every planted part, weight by weight, under the part's name; heads in order, then the MLP."""
    parts = {str(head): dict(head_deltas(view, before, head)) for head in plant.heads}
    if plant.mlp:
        old, new = before.state_dict(), view.model.state_dict()
        names = [name for name in new if any(name.startswith(f"{module}.") for module in plant.trained_whole(view))]
        parts["MLP"] = {name: new[name] - old[name] for name in names}
    return parts
