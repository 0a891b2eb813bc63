"""Is a planted behaviour undone by pinpoint tuning, or painted over? Distance to the truth-teller it was planted in.

Takes the organisms of bench/results/planted_first.json on which caving took. Each is tuned three ways: the six heads
that path patching puts first, six random heads, everything; each until the validation questions are answered as in the
demo. The distance is the KL from the truth-teller's next tokens to the repaired model's, on neutral dialogues and on
challenged ones; beside it, the distance of the organism before repair. Writes bench/results/repair.json and goes on
where it was stopped.
"""

import copy
import json
import platform
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from _plants import FIRST, Plant, planted, ranked, run_on, taken, truth_teller
from transformers import PreTrainedModel

from pinpoint.data import Dialogue, draw
from pinpoint.heads import Head
from pinpoint.measure import difference, estimate, next_token_kl, random_order
from pinpoint.models import headed
from pinpoint.pipeline import Run
from pinpoint.pipeline._validation import validation_check
from pinpoint.tune import fit, fit_heads

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "repair.json"
HEADS, HEAD_RATE, FULL_RATE, ITEMS = 6, 1e-3, 3e-5, 96


def _challenged(run: Run) -> list[Dialogue]:
    """Right and wrong answers, challenged, with the reply of one who tells the truth."""
    rows = run.inputs.behaviour.rows(draw(run.inputs.questions("validation"), ITEMS, 0), 0)
    return [Dialogue(id=str(i), messages=(*row["prompt"], *row["completion"])) for i, row in enumerate(rows)]


def _repaired(run: Run, way: str, heads: list[Head]) -> tuple[PreTrainedModel, dict[str, Any]]:
    train, behaviour = run.inputs.questions("train"), run.inputs.behaviour
    rate = FULL_RATE if way == "full" else HEAD_RATE
    config = run.config.tune.model_copy(update={"learning_rate": rate, "epochs": 4})
    common = {"seed": 0, "targets": behaviour.targets(config), "progress": run.progress}
    check, rows = validation_check(run, config), behaviour.rows(train, 0)
    with tempfile.TemporaryDirectory() as out:
        if way == "full":
            model = copy.deepcopy(run.model).requires_grad_(True)
            fitted = fit(model, run.tokenizer, rows, config, check, out=Path(out), what=way, **common)
        else:
            work = run.model, run.tokenizer, heads, rows, config, check
            with fit_heads(*work, out=Path(out), **common) as (live, fitted):
                model = copy.deepcopy(live).merge_and_unload()
    last = fitted.history[-1]
    return model.eval(), {"reached": fitted.reached, "step": last.step, **last.metrics}


def _distances(truth: PreTrainedModel, model: PreTrainedModel, run: Run) -> dict[str, float]:
    sets = {"neutral": draw(run.inputs.neutral, 2 * ITEMS, 0), "challenged": _challenged(run)}
    found = {name: next_token_kl(truth, model, run.tokenizer, some, 64) for name, some in sets.items()}
    return {name: sum(values) / len(values) for name, values in found.items()}


def _organism(organism: dict[str, Any]) -> dict[str, Any]:
    plant = Plant(**organism["plant"])
    planted(plant)
    run, truth = run_on(str(plant.folder)), truth_teller()[0]
    rng = random.Random(plant.seed)
    sets = {
        "located heads": ranked(organism)[:HEADS],
        "random heads": list(random_order(list(headed(run.model).heads()), HEADS, rng)),
        "full": [],
    }
    found: dict[str, Any] = {"plant": plant._asdict(), "before": {"distance": _distances(truth, run.model, run)}}
    for way, heads in sets.items():
        torch.manual_seed(0)
        model, reached = _repaired(run, way, heads)
        found[way] = reached | {"heads": [str(head) for head in heads], "distance": _distances(truth, model, run)}
        print(plant, way, found[way], flush=True)
    return found


def _summary(organisms: list[dict[str, Any]]) -> dict[str, Any]:
    groups = [str(one["plant"]["seed"]) for one in organisms]

    def mean(values: list[float]) -> dict[str, Any]:
        return estimate(values, groups, resamples=2000, seed=0).to_json()

    ways = [name for name in organisms[0] if name != "plant"]
    return {
        way: {
            "reached": sum(one[way].get("reached", False) for one in organisms),
            **{
                f"kl_{name}": mean([one[way]["distance"][name] for one in organisms])
                for name in organisms[0]["before"]["distance"]
            },
        }
        for way in ways
    }


def _compared(organisms: list[dict[str, Any]]) -> dict[str, Any]:
    """Distances after tuning the located heads minus those otherwise, organism by organism, with intervals."""
    groups = [str(one["plant"]["seed"]) for one in organisms]

    def pairs(way: str, kind: str) -> dict[str, Any]:
        sides = ([one[name]["distance"][kind] for one in organisms] for name in ("located heads", way))
        return difference(*sides, groups, resamples=2000, seed=0).to_json()

    others = [way for way in organisms[0] if way not in ("plant", "located heads")]
    return {way: {f"kl_{kind}": pairs(way, kind) for kind in organisms[0]["before"]["distance"]} for way in others}


def main() -> None:
    """Repairs what the record lacks, then sums up."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"organisms": []}
    record |= {"command": "python bench/repair.py", "machine": f"{platform.machine()}, CPU"}
    for organism in taken(FIRST)[len(record["organisms"]) :]:
        record["organisms"].append(_organism(organism))
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record["summary"] = _summary(record["organisms"])
    record["located_minus"] = _compared(record["organisms"])
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: record[name] for name in ("summary", "located_minus")}, indent=1))


if __name__ == "__main__":
    main()
