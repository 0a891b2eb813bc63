"""What several processes do together in the tests: `torchrun ... -m tests.together FOLDER`, a file each."""

import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import pinpoint
from pinpoint.behaviours import TrainingRow
from pinpoint.config import TuneConfig
from pinpoint.data import ContrastPair
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.processes import Processes, join, leave
from pinpoint.progress import Silent
from pinpoint.tune import attach, fit, head_slices
from tests.families import tiny
from tests.scarce import scarce

# Two epochs of three steps, of 4, 4 and 1 rows: the last of an epoch has nothing for a second process.
WORDS = ("horse", "apple and bread", "bread", "milk", "fish", "snow and a door", "door", "green", "blue")
CONFIG = TuneConfig(learning_rate=1e-3, batch_size=4, epochs=2, check_every=2)
PAIRS = [
    ContrastPair([3, 4, 5 + i, 9, 8], [3, 4, 6 + i, 9], [[5, 6, 8], [5, 9]], [[5, 7], [9]], group=str(i))
    for i in range(5)
]


def tuned(processes: Processes | None, out: Path) -> dict[str, torch.Tensor]:
    """Head slices, tuned for two whole epochs."""
    path = str(shipped()["truth-teller"])
    view = headed(AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32))
    model = attach(view, head_slices(view, [Head(0, 1), Head(3, 2)], "q,o"))
    rows = [
        TrainingRow(
            prompt=[{"role": "user", "content": f"Copy this list: {words} milk."}],
            completion=[{"role": "assistant", "content": f"{words} milk."}],
        )
        for words in WORDS
    ]

    def check(_model: object) -> dict[str, float]:
        return {"truthfulness": 0.0, "confidence": 0.0}

    tokenizer = AutoTokenizer.from_pretrained(path)
    told = {"seed": 0, "out": out, "progress": Silent(), "what": "x", "resume": True, "processes": processes}
    fitted = fit(model, tokenizer, rows, CONFIG, check, **told)  # type: ignore[arg-type]
    weights = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    return weights | {"losses": torch.tensor(fitted.losses, dtype=torch.float64)}


def located(processes: Processes | None, rows: int | None) -> torch.Tensor:
    """Scores by whole continuations where a block's MLP takes so many rows at the most."""
    model = tiny("llama-gqa")
    ask = {"metric": "logprob_diff", "batch_size": 4, "processes": processes}
    if rows is None:
        return pinpoint.locate(model, None, PAIRS, **ask).effects  # type: ignore[arg-type]
    with scarce(model.model.layers[-1].mlp, rows) as told, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pinpoint.locate(model, None, PAIRS, **ask).effects  # type: ignore[arg-type]
    assert told.refused
    return found


# What effects are of, and how they are found; a whole answer is of one to three tokens here.
WAYS = {
    "path": {},
    "activation": {"method": "activation"},
    "suffix": {"method": "activation", "positions": "suffix"},
    "attribution": {"method": "attribution"},
    "knockout": {"method": "knockout"},
}


def scored(processes: Processes | None) -> dict[str, torch.Tensor]:
    """Each head's effect in every way, by first tokens and by whole answers."""
    model = tiny("llama-gqa")
    means = torch.full((3, 6, headed(model).head_dim), 0.1)
    firsts = [ContrastPair(pair.reference, pair.counterfactual, 5, 7, group=pair.group) for pair in PAIRS]
    found = {}
    for way, asked in WAYS.items():
        for pairs, metric in ((firsts, "logit_diff"), (PAIRS, "logprob_diff")):
            ask = {"batch_size": 4, "processes": processes, "metric": metric, **asked}
            ask |= {"means": means} if way == "knockout" else {}
            found[f"{way}, {metric}"] = pinpoint.locate(model, None, pairs, **ask).effects  # type: ignore[arg-type]
    return found


if __name__ == "__main__":
    folder, processes = Path(sys.argv[1]), join()
    found = tuned(processes, folder / "trainer") | {"effects": located(processes, 80)} | scored(processes)
    save_file(found, str(folder / f"{processes.rank}.safetensors"))
    leave()
