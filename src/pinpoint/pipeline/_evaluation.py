"""The evaluation of a run: base and tuned models on the same items, and the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinpoint.behaviours import Behaviour, Played
from pinpoint.beyond import FURTHER
from pinpoint.checks import CheckResult, enough_items
from pinpoint.evaluate import Evaluation, TaskResult, evaluate, metrics, versus_base
from pinpoint.measure import SHIFTS, Exchange, Shift, judge_of, replies_english, tally
from pinpoint.pipeline._checks import replies_end, replies_whole
from pinpoint.pipeline._stages import partial_of
from pinpoint.pipeline._thought_checks import thinking_alike, thoughts_end

if TYPE_CHECKING:
    from pinpoint.artifacts import Workspace
    from pinpoint.config import RunConfig
    from pinpoint.pipeline._run import Run


def evaluate_run(run: Run) -> dict[str, Evaluation]:
    """Evaluates base, pinpoint and full on the same items; writes transcripts, examples and `summary.json`.

    Raises:
        InputError: a measure is left to another model, and none is named.
    """
    run.inputs.check_judge()
    run.note(run.inputs.unleaked)
    run.note(thinking_alike(_thinking(run)))
    config, behaviour = run.config.evaluate, run.inputs.behaviour
    space, partial = run.workspace.sub("evaluate"), partial_of(run, "evaluate")
    sets = run.inputs.sets()
    run.inputs.list_unusable(run.workspace)
    judge = judge_of(run.config.judge, run.load, partial.journal("judge.jsonl"))
    results: dict[str, Evaluation] = {}
    models = {"base": None, **run.tuned_models()}
    if "full" not in models:
        space.drop("full")  # as tuning does
    for name, folder in models.items():
        model = run.model if folder is None else run.load_tuned(folder)
        results[name] = evaluate(
            model,
            run.tokenizer,
            sets,
            config,
            behaviour,
            base=run.model,
            base_played=results["base"].played if results else None,
            progress=run.progress,
            name=name,
            journal=partial.journal(f"{name}.jsonl"),
            judge=judge,
        )
        write_transcripts(space.sub(name), results[name])
        del model  # before the next is loaded
    played = {name: result.played for name, result in results.items()}
    space.write_json("examples.json", behaviour.examples(played))
    run.workspace.write_json("summary.json", _summary(run, results) | {"judge": tally(judge)})
    return results


def _thinking(run: Run) -> dict[str, bool | None]:
    """How each stage had the model think, where its record says so."""
    space, found = run.workspace, {}
    for stage, folder, name in (("locate", space.sub("locate"), "locate.json"), ("tune", space, "tune.json")):
        record = folder.read_json(name) if folder.has(name) else {}
        if "thinking" in record:
            found[stage] = record["thinking"]
    return found | {"evaluate": run.config.thinking}


def write_transcripts(space: Workspace, evaluation: Evaluation) -> None:
    """Writes everything that was said, each row with its verdicts."""
    for part, records in evaluation.played.items():
        space.write_jsonl(f"{part}.jsonl", [record.row() for record in records])
    for path in space.root.glob("further_*.jsonl"):
        # A copied folder may hold a set that is no longer asked for.
        if path.stem.removeprefix("further_") not in evaluation.further:
            space.drop(path.name)
    for name, rows in evaluation.further.items():
        space.write_jsonl(f"further_{name}.jsonl", rows)
    space.write_jsonl("abilities.jsonl", [task._asdict() for task in evaluation.tasks])
    space.write_jsonl(
        "kl.jsonl", [{"id": i, "kl": kl} for i, kl in zip(evaluation.neutral_ids, evaluation.kl, strict=True)]
    )
    for name in SHIFTS:
        if shift := evaluation.shifts.get(name):
            space.write_jsonl(f"{name}.jsonl", [{"id": i, "kl": kl} for i, kl in zip(*shift, strict=True)])
        else:
            space.drop(f"{name}.jsonl")


def read_transcripts(space: Workspace, behaviour: Behaviour) -> Evaluation:
    """What `write_transcripts` wrote."""
    played = {part: behaviour.restore(part, space.read_jsonl(f"{part}.jsonl")) for part in behaviour.parts}
    shift = space.read_jsonl("kl.jsonl")
    tasks = [TaskResult(**row) for row in space.read_jsonl("abilities.jsonl")]
    further = {
        name: space.read_jsonl(f"further_{name}.jsonl") for name in FURTHER if space.has(f"further_{name}.jsonl")
    }
    elsewhere = {name: space.read_jsonl(f"{name}.jsonl") for name in SHIFTS if space.has(f"{name}.jsonl")}
    shifts = {name: Shift([row["id"] for row in rows], [row["kl"] for row in rows]) for name, rows in elsewhere.items()}
    return Evaluation(played, tasks, [row["kl"] for row in shift], [row["id"] for row in shift], further, shifts)


def thoughts_without_end(played: Played) -> list[int] | None:
    """How many thoughts of each dialogue did not end; None where the model did not think."""
    rows = [record.row() for records in played.values() for record in records]
    return [row.get("unclosed", 0) for row in rows] if any({"thoughts", "thought"} & set(row) for row in rows) else None


def turns_cut(played: Played) -> list[int]:
    """How many of the model's turns in each dialogue ended at the limit of tokens."""
    return [record.row().get("cut", 0) for records in played.values() for record in records]


def to_challenges(played: Played) -> list[str]:
    """What was replied to the built-in behaviour's challenges; a user's own has rules of its own."""
    return [one.reply for records in played.values() for one in records if isinstance(one, Exchange)]


def _summary(run: Run, results: dict[str, Evaluation]) -> dict[str, Any]:
    config, seed, space = run.config.evaluate, run.config.seed, run.workspace
    behaviour = run.inputs.behaviour
    tuned = {"pinpoint": space, "full": space.sub("full")}
    methods: dict[str, Any] = {}
    matched: dict[str, Any] = {}
    for name, result in results.items():
        methods[name] = metrics(result, behaviour, config, seed) | {"trainable_parameters": 0, "seconds": 0.0}
        if name == "base":
            continue
        record = tuned[name].read_json("tune.json")
        methods[name] |= {key: record[key] for key in ("trainable_parameters", "seconds", "reached")}
        methods[name]["versus_base"] = versus_base(result, results["base"], behaviour, config, seed)
        matched[name] = _first_reaching(record["history"], *behaviour.matched)
    run.note(enough_items({name: item_counts(method, behaviour) for name, method in methods.items()}))
    if run.config.judge.kind != "model" and (replies := to_challenges(results["base"].played)):
        run.note(replies_english(replies))
    cut = {name: turns_cut(result.played) for name, result in results.items()}
    run.note(replies_end(cut, config.max_new_tokens))
    unclosed = {name: thoughts_without_end(result.played) for name, result in results.items()}
    if any(counts is not None for counts in unclosed.values()):
        run.note(thoughts_end({name: counts or [] for name, counts in unclosed.items()}, config.max_new_tokens))
    further = {name: result.further for name, result in results.items()}
    if any(FURTHER[name].model_judged for played in further.values() for name in played):
        run.note(replies_whole(further, config.max_new_tokens))
    located = space.sub("locate").read_json("locate.json")
    targets = behaviour.targets(run.config.tune)
    checks = space.read_json("checks.json")
    tune = space.read_json("tune.json") if space.has("tune.json") else {"heads": []}
    return {
        "model": run.config.model,
        "thinking": run.config.thinking,
        "heads": tune["heads"],
        **{key: tune[key] for key in ("wrong_answers", "explanations") if key in tune},
        "methods": methods,
        "locate": {key: located.get(key) for key in ("engine", "seconds", "pairs", "reliability", "noise")},
        "total_parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "matched_kl": dict([behaviour.matched]) | matched,
        "checks": checks,
        "warnings": [
            _unreached(name)
            for name, method in methods.items()
            if targets and not method.get("reached", True) and _awaited(run.config, name)
        ]
        + [CheckResult.model_validate(check).failure for check in checks if not check["ok"]],
    }


def _awaited(config: RunConfig, name: str) -> bool:
    """Whether a method was to be trained until it reached the targets."""
    trained = config.full if name == "full" else config.tune
    return trained is not None and trained.stop_early


def _unreached(name: str) -> str:
    """Says that a method's training did not do, and what may."""
    key = "full" if name == "full" else "tune"
    return (
        f"{name}: training ended before validation reached its targets. Set {key}.epochs or {key}.learning_rate "
        "higher, or give more questions."
    )


def item_counts(method: dict[str, Any], behaviour: Behaviour) -> dict[str, int]:
    """Items behind each rate of a method, abilities and further sets included."""
    rates = {measure.name: method[measure.name] for measure in behaviour.measures if not measure.aside} | method[
        "abilities"
    ]
    counts = {name: rate["n"] for name, rate in rates.items()}
    for name, measured in method["further"].items():
        some = {f"{name}.{key}": one["n"] for key, one in measured.items()}
        # A measure that no item has stands in the table as undefined.
        counts |= {key: n for key, n in some.items() if n or not any(some.values())}
    return counts


def _first_reaching(history: list[dict[str, Any]], rate: str, value: float) -> dict[str, Any] | None:
    """The first check on validation with enough of a rate: where methods are compared at equal success."""
    for checkpoint in history:
        if checkpoint["metrics"][rate] >= value:
            return {"step": checkpoint["step"], **checkpoint["metrics"]}
    return None
