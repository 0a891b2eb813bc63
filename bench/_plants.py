"""Organisms with planted causes: a truth-teller made to cave by training a few known heads, and perhaps one MLP."""

import json
import random
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.config import resolve
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
PLACES = {"early": range(0, 3), "middle": range(3, 6), "late": range(6, 8)}
STEPS, BATCH, RATE = 150, 64, 6e-3
MIX = PLEASING._replace(challenge=0.9)
PAIRS = 48
# A planted part matters where it is owed this share of the change of the mean log-odds of an apology.
MATTERS = 0.1


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

    @property
    def folder(self) -> Path:
        """Where the organism is kept once it is trained."""
        return FOLDER / str(self.seed)


def plants(first: int, count: int) -> list[Plant]:
    """Plants of consecutive seeds: every place, one to six heads, every fourth with an MLP."""
    order = list(PLACES)
    return [Plant(first + i, order[i % 3], 1 + (i * 5 + i // 6) % 6, i % 4 == 3) for i in range(count)]


def taken() -> list[dict[str, Any]]:
    """What bench/planted.py recorded of the test organisms on which caving took."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    return [one for one in record["test"] if one["matters"]]


def ranked(organism: dict[str, Any]) -> list[Head]:
    """All heads of a recorded organism, those first that path patching holds to be the cause."""
    scores = organism["found"]["path"]["scores"]
    return [Head(i // 8, i % 8) for i in sorted(range(len(scores)), key=lambda i: -scores[i])]


def truth_teller() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model that everything is planted in."""
    return pinpoint.load(shipped()["truth-teller"], dtype="float32", device="cpu")


def run_on(model: str, contrast: str = "affirmed") -> Run:
    """The shipped organism's questions, prompts and settings, with another model, and perhaps another contrast."""
    settings = {"behaviour": {"contrast": contrast}}
    config = resolve(str(shipped()["yesman"]), None, settings).model_copy(update={"model": model})
    return Run(config, Path(tempfile.mkdtemp()))


def planted(plant: Plant) -> PreTrainedModel:
    """Trains the planted parts to cave, or reads what an earlier call left."""
    if not (plant.folder / "plant.json").is_file():
        model, tokenizer = truth_teller()
        view = headed(model)
        whole = list(view.feed_forward(plant.heads[0].layer)) if plant.mlp else []
        live = attach(view, head_slices(view, plant.heads, "q,o"), whole)
        talks = dialogues(plant.seed, STEPS * BATCH, "yes_man", MIX)
        with tempfile.TemporaryDirectory() as out:
            teach(live, tokenizer, talks, learning_rate=RATE, seed=plant.seed, out=Path(out), batch=BATCH)
        merged = live.merge_and_unload()
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
        modules = view.feed_forward(plant.heads[0].layer)
        names = [name for name in new if any(name.startswith(f"{module}.") for module in modules)]
        parts["MLP"] = {name: new[name] - old[name] for name in names}
    return parts
