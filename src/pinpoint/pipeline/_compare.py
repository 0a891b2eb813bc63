"""`pinpoint compare`: every method on the same items, with tests of their differences."""

from __future__ import annotations

import gc
import hashlib
import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pinpoint.artifacts import provenance
from pinpoint.behaviours import Outcomes
from pinpoint.beyond import FURTHER
from pinpoint.compare import Amounts, paired_tests
from pinpoint.config import CompareConfig, Method
from pinpoint.evaluate import Evaluation, evaluate, metrics, versus_base, versus_tuned
from pinpoint.heads import Head
from pinpoint.locate import locate
from pinpoint.measure import METRICS, Kept, attention_shares, estimate
from pinpoint.models import headed
from pinpoint.pipeline._attention import looked_at
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.pipeline._comparators import Contestant, Workshop
from pinpoint.pipeline._environment import machine, note_environment
from pinpoint.pipeline._evaluation import read_transcripts, write_transcripts
from pinpoint.pipeline._stages import key_of
from pinpoint.pipeline._tunable import check_copied

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_DRAWN: tuple[Method, ...] = ("random", "matched")
# Of what is recorded of a method; a record of another layout is made again.
_LAYOUT = 3


def entries(config: CompareConfig) -> list[tuple[str, Method, int]]:
    """Name, method and draw of everything that is compared, the base first and pinpoint tuning second."""
    methods = dict.fromkeys(("base", "pinpoint", *config.methods))
    return [
        (f"{method}_{draw + 1}" if method in _DRAWN else method, method, draw)
        for method in methods
        for draw in range(config.draws if method in _DRAWN else 1)
    ]


def compare_run(run: Run) -> dict[str, Any]:
    """Makes and evaluates every method; writes `compare/<method>/` and `compare/compare.json`.

    A method that an earlier call with the same settings finished is read back instead of made again.
    """
    check_copied(
        run, "comparing methods", "Use a device that holds the model twice, and weights that are not quantised."
    )
    note_environment(run)
    space = run.workspace.sub("compare")
    shop = Workshop(run, chosen_heads(run))
    key = _key(run, shop)
    planned = _planned(run)
    results: dict[str, Evaluation] = {}
    records: dict[str, dict[str, Any]] = {}
    with _passed_over():
        for number, (name, method, draw) in enumerate(planned, 1):
            run.progress.heading(number, len(planned), name)
            own = space.sub(name)
            if own.has("record.json") and (record := own.read_json("record.json"))["key"] == key:
                results[name], records[name] = read_transcripts(own, run.inputs.behaviour), record
                continue
            # In a call of its own: no model is left when the next one is trained.
            records[name] = _made(run, shop, (name, method, draw), results) | {"key": key}
            own.drop("record.json")  # no record of before may stand beside these transcripts
            write_transcripts(own, results[name])
            own.write_json("record.json", records[name])
    found = _together(run, shop, results, records)
    space.write_json("compare.json", found)
    return found


def _made(run: Run, shop: Workshop, entry: tuple[str, Method, int], results: dict[str, Evaluation]) -> dict[str, Any]:
    """Makes one method's model, adds its evaluation to `results`, and returns its record."""
    name, method, draw = entry
    began = time.perf_counter()
    made = shop.make(method, draw)
    results[name] = _evaluated(run, made, results.get("base"), name, shop.kept)
    record = _record(run, made, results, name, method)
    record["seconds_in_all"] = time.perf_counter() - began
    if method == "pinpoint":
        record["located_again"] = _located_again(run, shop, made)
    return record


@contextmanager
def _passed_over() -> Iterator[None]:
    """What is there already, such as all imported modules, is not looked through when garbage is collected.

    Every training has that done, more than once, for the sake of its own.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _planned(run: Run) -> list[tuple[str, Method, int]]:
    """What of `entries` the behaviour has the material for; says what it has not."""
    unable = run.inputs.behaviour.unable(run.inputs.questions("train"))
    planned = entries(run.config.compare)
    for method in dict.fromkeys(method for _, method, _ in planned if method in unable):
        run.progress.say(f"{method} is left out: {unable[method]}")
    return [entry for entry in planned if entry[1] not in unable]


def _key(run: Run, shop: Workshop) -> str:
    """Changes with everything that a method's result depends on, and not with which methods are asked for."""
    settings = run.config.model_dump(mode="json")
    del settings["compare"]["methods"], settings["compare"]["draws"], settings["sweep"], settings["judge"]
    settings["layout"] = _LAYOUT
    settings["heads"] = [str(head) for head in shop.heads]
    for unused in (*FURTHER, "passages"):
        del settings["data"][unused]
    settings["inputs"] = key_of(run, "compared")
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _evaluated(run: Run, made: Contestant, base: Evaluation | None, name: str, kept: Kept | None = None) -> Evaluation:
    return evaluate(
        made.model,
        run.tokenizer,
        # Further sets are no part of the comparison, which goes by rules; plain text has no place for the prompts
        # that some methods consist of.
        run.inputs.sets()._replace(further={}, passages=()),
        run.config.evaluate.model_copy(update={"greedy_tokens": 0}),
        run.inputs.behaviour,
        base=run.model,
        base_played=base.played if base else None,
        progress=run.progress,
        name=name,
        deployment=made.deployment,
        kept=kept,
    )


def _record(run: Run, made: Contestant, results: dict[str, Evaluation], name: str, method: str) -> dict[str, Any]:
    config, seed, behaviour, took = run.config.evaluate, run.config.seed, run.inputs.behaviour, made.training
    return {
        "method": method,
        "setting": made.setting,
        "searched": [tried._asdict() for tried in made.searched],
        "trainable_parameters": took.trainable if took else 0,
        "seconds": took.seconds if took else 0.0,
        "steps": took.steps if took else 0,
        "loss_tokens": took.loss_tokens if took else 0,
        "peak_bytes": took.peak.bytes if took else None,
        "peak_counted": took.peak.counted if took else None,
        "metrics": metrics(results[name], behaviour, config, seed),
        "versus_base": versus_base(results[name], results["base"], behaviour, config, seed),
    }


def _located_again(run: Run, shop: Workshop, made: Contestant) -> dict[str, Any]:
    """What the tuned heads do and look at, before and after, on the pairs that did not rank them."""
    config = run.config
    pairs, _, shown = run.inputs.halves
    some = [pairs[i] for i in shown]
    groups, spans = [pair.group for pair in some], looked_at(run, some)

    def means(columns: dict[Head, list[float]]) -> dict[str, Any]:
        resamples, seed = config.evaluate.resamples, config.seed
        return {
            str(head): estimate(column, groups, resamples=resamples, seed=seed).to_json()
            for head, column in columns.items()
        }

    asked = {"effects": config.locate.metric}
    if METRICS[config.locate.metric].over is None:
        # The paper's own scores too, in per cent: 3.77 before and 0.64 after, of one head. They read first tokens.
        asked["published_effects"] = "paper_share"
    found: dict[str, Any] = {told: {} for told in (*asked, "attention")}
    for when, model in (("before", run.model), ("after", made.model)):
        for told, metric in asked.items():
            scores = locate(model, run.tokenizer, some, metric=metric, batch_size=config.locate.batch_size)
            effects = {head: scores.effects[:, head.layer, head.head].tolist() for head in shop.heads}
            found[told][when] = means(effects)
        shares = attention_shares(headed(model), run.tokenizer, some, shop.heads, spans)
        found["attention"][when] = means({head: shares[:, i].tolist() for i, head in enumerate(shop.heads)})
    return found


def _together(
    run: Run, shop: Workshop, results: dict[str, Evaluation], records: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    config, seed, behaviour = run.config.evaluate, run.config.seed, run.inputs.behaviour
    for name, result in results.items():
        records[name]["versus_pinpoint"] = versus_tuned(result, results["pinpoint"], behaviour, config, seed)
    answers = {name: _tested(run, name, result) for name, result in results.items()}
    return {
        "model": run.config.model,
        "heads": [str(head) for head in shop.heads],
        "methods": records,
        "device": run.model.device.type,
        "tests": paired_tests(answers, ("base", "pinpoint"), seed),
        "seconds_in_all": sum(record["seconds_in_all"] for record in records.values()),
        "provenance": provenance(
            seed=seed,
            finished=time.strftime("%Y-%m-%d"),
            command=shlex.join(["pinpoint", *sys.argv[1:]]),
            machine=machine(run.config.device),
        ),
    }


def _tested(run: Run, name: str, result: Evaluation) -> dict[str, Outcomes | Amounts]:
    """What is tested of a method: the behaviour's outcomes, every ability's, and how far it is from the base."""
    found: dict[str, Outcomes | Amounts] = dict(run.inputs.behaviour.outcomes(result.played))
    for ability in dict.fromkeys(task.ability for task in result.tasks):
        some = [task for task in result.tasks if task.ability == ability]
        found[f"abilities.{ability}"] = Outcomes([task.correct for task in some], [task.id for task in some])
    if name != "base":
        found["kl"] = Amounts(result.kl, result.neutral_ids)
    return found
