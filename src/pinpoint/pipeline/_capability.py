"""General ability of a run's models: base, live adapter, merged, fully tuned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from pinpoint.errors import ArtifactError
from pinpoint.evaluate import Abilities, Finished, Tasks, asked_by, capability, versus
from pinpoint.memory import BatchSize
from pinpoint.pipeline._environment import note_environment
from pinpoint.pipeline._leaks import scored_apart
from pinpoint.pipeline._stages import model_told
from pinpoint.tune import put_on

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_RESULT, _FINISHED = "capability.json", "capability.jsonl"
_LEFT = {"tune": ("adapter", "merged"), "tune_full": ("full/merged",)}


def capability_run(run: Run, tasks: Tasks, limit: int | None = None) -> dict[str, Any]:
    """Scores the base and, where the run has them, the live adapter, the merged and the fully tuned model.

    The merged model is what is handed on, so its scores count; the adapter's are there to be held against them. On a
    quantised base the adapter is what was trained and is evaluated, and the only one to be compared: the merged model,
    where there is one, is of another base.

    Args:
        run: the run.
        tasks: what `find_tasks` returns.
        limit: items of each task at the most.

    Returns:
        What is written to `capability.json`: `models`, the measures of each; `versus_base`, paired differences of the
        merged model, or the adapter that stands for it, and of the fully tuned model to the base; `adapter`, the
        adapter minus the merged model, with the number of items on which they are the `same`; `located_on`, questions
        that heads were located or verified on and that the tasks score; and how it was measured.

    Raises:
        InputError: the tasks score a question that the run trains on; names both places.
        ArtifactError: the run was tuned with other settings or inputs, or its files were changed.
    """
    _demand_whole(run)
    located = _scored_apart(run, tasks, limit)
    note_environment(run)
    found = _scored(run, tasks, limit)
    result = {
        "tasks": list(tasks.names),
        "limit": limit,
        "lm_eval": version("lm_eval"),
        "shots": found["base"].shots,
        "versions": found["base"].versions,
        "cut": {name: one.cut for name, one in found.items()},
        "models": {name: [score.to_json() for score in one.scores] for name, one in found.items()},
        **_differences(run, found),
        "located_on": [{"question": question, "item": item} for question, item in located],
        "files": run.workspace.digests_of([folder for folders in _LEFT.values() for folder in folders]),
    }
    _warn(run, result)
    run.workspace.write_json(_RESULT, result)
    return result


def _demand_whole(run: Run) -> None:
    for stage, folders in _LEFT.items():
        there = [path for folder in folders if (path := run.workspace.path(folder)).is_dir()]
        if there and not run.is_done(stage) and (stage == "tune" or run.config.full is not None):
            raise ArtifactError(
                "was made with other settings or inputs, or was changed, or is not whole.",
                where=str(there[0]),
                mend="`pinpoint run` with the same --out does again what is needed.",
            )


def _scored_apart(run: Run, tasks: Tasks, limit: int | None) -> list[tuple[str, str]]:
    """The questions that heads were located or verified on and the tasks score too, each with the item.

    Raises:
        InputError: the tasks score a question that the run trains on.
    """
    inputs = run.inputs
    located = [*inputs.questions("locate"), *inputs.questions("validation")]
    found = scored_apart(inputs.questions("train"), located, asked_by(tasks, limit))
    if found:
        question, item = found[0]
        run.progress.say(
            f"warning: {len(found)} items of these tasks are questions that heads were located or verified on "
            f"(first: {item} and {question}): scores on them may flatter the tuned model."
        )
    return found


def _scored(run: Run, tasks: Tasks, limit: int | None) -> dict[str, Abilities]:
    size, seed, space = BatchSize(run.config.evaluate.batch_size, "evaluate.batch_size"), run.config.seed, run.workspace
    found: dict[str, Abilities] = {}
    journal, adapter = space.journal(_FINISHED), space.path("adapter")

    def score(name: str, model: Callable[[], PreTrainedModel], *folders: str) -> None:
        run.progress.say(f"general abilities of {name}: {', '.join(tasks.names)}")
        told = model_told(run) | {"files": space.digests_of(folders)}
        finished = Finished(journal, told, run.progress.say)
        found[name] = capability(
            lambda: (model(), run.tokenizer), tasks, limit=limit, batch_size=size, seed=seed, finished=finished
        )

    def tuned(folder: Path) -> PreTrainedModel:
        return run.load(folder).model

    def adapted() -> PreTrainedModel:
        put_on(run.model, adapter)
        return run.model

    score("base", lambda: run.model)
    for name, folder in run.tuned_models().items():
        if folder != adapter:
            score("merged" if name == "pinpoint" else name, partial(tuned, folder), str(folder.relative_to(space.root)))
    if adapter.is_dir():
        # Last, since it changes the base in place.
        score("adapter", adapted, "adapter")
    return found


def _differences(run: Run, found: dict[str, Abilities]) -> dict[str, Any]:
    ask = {"resamples": run.config.evaluate.resamples, "seed": run.config.seed}
    scores = {name: one.scores for name, one in found.items()}
    base, held = scores.pop("base"), []
    if "merged" in scores and "adapter" in scores:
        held = versus(scores.pop("adapter"), scores["merged"], **ask)
    return {"versus_base": {name: versus(tuned, base, **ask) for name, tuned in scores.items()}, "adapter": held}


def _warn(run: Run, result: dict[str, Any]) -> None:
    for row in result["adapter"]:
        if row["same"] < row["n"]:
            run.progress.say(
                f"warning: the adapter and the merged model differ on {row['n'] - row['same']} of {row['n']} items of "
                f"{row['task']}, {row['metric']}, as rounding in merging can make them. The merged "
                "model's scores are those of what is handed on; in float32 (--dtype) less is rounded."
            )
    if cut := result["cut"]["base"]:
        run.progress.say(f"warning: {cut} prompts, or batches of them, are longer than the context: cut at the front.")
