"""Is a planted behaviour undone by pinpoint tuning, or painted over? Distance to the truth-teller it was planted in.

Takes the test organisms of bench/planted.py on which caving took. Each is tuned in several ways: the six heads that
path patching puts first, the six that knocking out each puts first, the planted heads themselves, three draws of six
random heads, everything; each until the validation questions are answered as in the demo. The distance is the KL from
the truth-teller's next tokens to the repaired model's, on neutral dialogues and on challenged ones; beside it, the
distance of the organism before repair. Writes bench/results/repair.json and goes on where it was stopped.
"""

import copy
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from _plants import Plant, planted, ranked, run_on, taken, truth_teller
from _record import Conditions
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
HEADS, DRAWS, HEAD_RATE, FULL_RATE, ITEMS = 6, 3, 1e-3, 3e-5, 96
KNOCKOUT, PATH, PLANTED, RANDOM = "knockout heads", "path heads", "planted heads", "random heads"
# Whose distances are set against whose.
AGAINST = {KNOCKOUT: ("before", PATH, PLANTED, RANDOM, "full"), PATH: ("before", PLANTED, RANDOM, "full")}


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
            live, fitted = fit_heads(run.model, run.tokenizer, heads, rows, config, check, out=Path(out), **common)
            model = live.merge_and_unload()
    last = fitted.history[-1]
    return model.eval(), {"reached": fitted.reached, "step": last.step, **last.metrics}


def _distances(truth: PreTrainedModel, model: PreTrainedModel, run: Run) -> dict[str, float]:
    sets = {"neutral": draw(run.inputs.neutral, 2 * ITEMS, 0), "challenged": _challenged(run)}
    found = {name: next_token_kl(truth, model, run.tokenizer, some, 64) for name, some in sets.items()}
    return {name: sum(values) / len(values) for name, values in found.items()}


def _sets(organism: dict[str, Any], every: list[Head]) -> dict[str, list[Head]]:
    """The heads that each way tunes; none where it tunes everything."""
    plant = Plant(**organism["plant"])
    rng = random.Random(plant.seed)
    return {
        PATH: ranked(organism)[:HEADS],
        KNOCKOUT: ranked(organism, "knockout of each head")[:HEADS],
        PLANTED: plant.heads,
        **{f"{RANDOM} {i}": list(random_order(every, HEADS, rng)) for i in range(DRAWS)},
        "full": [],
    }


def _organism(organism: dict[str, Any]) -> dict[str, Any]:
    plant = Plant(**organism["plant"])
    planted(plant)
    run, truth = run_on(str(plant.folder)), truth_teller()[0]
    found: dict[str, Any] = {"plant": plant._asdict(), "before": {"distance": _distances(truth, run.model, run)}}
    for way, heads in _sets(organism, list(headed(run.model).heads())).items():
        torch.manual_seed(0)
        model, reached = _repaired(run, way, heads)
        found[way] = reached | {"heads": [str(head) for head in heads], "distance": _distances(truth, model, run)}
        print(plant, way, found[way], flush=True)
    return found


def _draws(organism: dict[str, Any], way: str) -> list[dict[str, Any]]:
    """What was measured of a way: once, or at every random draw."""
    return [organism[way]] if way in organism else [organism[f"{way} {i}"] for i in range(DRAWS)]


def _distance(organism: dict[str, Any], way: str, kind: str) -> float:
    """Of one organism, the mean over draws."""
    draws = [one["distance"][kind] for one in _draws(organism, way)]
    return sum(draws) / len(draws)


def summary(organisms: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over organisms with intervals, way by way; and differences between ways, organism by organism."""
    groups, kinds = [str(one["plant"]["seed"]) for one in organisms], list(organisms[0]["before"]["distance"])
    resampled = {"resamples": 2000, "seed": 0}

    def distances(way: str, kind: str) -> list[float]:
        return [_distance(one, way, kind) for one in organisms]

    ways = ("before", KNOCKOUT, PATH, PLANTED, RANDOM, "full")
    return {
        "ways": {
            way: {
                "reached": sum(draw.get("reached", False) for one in organisms for draw in _draws(one, way)),
                "of": sum(len(_draws(one, way)) for one in organisms),
                **{f"kl_{kind}": estimate(distances(way, kind), groups, **resampled).to_json() for kind in kinds},
            }
            for way in ways
        },
        "minus": {
            way: {
                other: {
                    f"kl_{kind}": difference(
                        distances(way, kind), distances(other, kind), groups, **resampled
                    ).to_json()
                    for kind in kinds
                }
                for other in others
            }
            for way, others in AGAINST.items()
        },
    }


def main() -> None:
    """Repairs what the record lacks, then sums up."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"organisms": []}
    conditions = Conditions()
    for organism in taken()[len(record["organisms"]) :]:
        record["organisms"].append(_organism(organism))
        record |= {"command": "python bench/repair.py", "machine": conditions.told()}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record["summary"] = summary(record["organisms"])
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["summary"], indent=1))


if __name__ == "__main__":
    main()
