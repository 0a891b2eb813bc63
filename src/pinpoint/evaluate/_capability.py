"""General ability by the tasks of lm-eval (Gao et al. 2024), on the model in memory."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Journal
from pinpoint.evaluate._tasks import Tasks, cannot_run, code_allowed, name_of, warnings_heard
from pinpoint.measure import Estimate, difference, share_difference
from pinpoint.memory import BatchSize, out_of_memory, release

_THOUGHT_ENDS = "</think>"


class Ability(NamedTuple):
    """One measure of a task or of a group of tasks.

    Attributes:
        task: lm-eval's name.
        metric: lm-eval's name, with the filter that read the reply where there is more than one way.
        value: lm-eval's; None where it is not finite.
        stderr: lm-eval's standard error; None where it gives none.
        n: items behind it.
        items: the value of each item, by task and number; empty where `value` is not their mean.
    """

    task: str
    metric: str
    value: float | None
    stderr: float | None
    n: int
    items: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """All but the items."""
        return {key: value for key, value in self._asdict().items() if key != "items"}


class Abilities(NamedTuple):
    """How a model did.

    Attributes:
        scores: a measure each.
        cut: prompts that were longer than the model's context and lost their beginning.
        shots: examples before each item, by task.
        versions: lm-eval's version of each task.
    """

    scores: list[Ability]
    cut: int
    shots: dict[str, int]
    versions: dict[str, Any]


class Finished(NamedTuple):
    """Tasks that a model was scored on before.

    Attributes:
        journal: where their scores are kept, each as it is done.
        model: tells the model from others, as a JSON value.
        tell: told of a task whose scores are taken from there.
    """

    journal: Journal
    model: Any
    tell: Callable[[str], None]


def capability(
    load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
    tasks: Tasks,
    *,
    limit: int | None = None,
    batch_size: int | BatchSize = 16,
    seed: int = 0,
    finished: Finished | None = None,
) -> Abilities:
    """Scores a model on tasks of lm-eval, with its chat template; examples are turns of the dialogue.

    Tasks are done one after the other; a group of tasks is one.

    Args:
        load: gives the model, which may be a PeftModel, and its tokenizer; called at the first task not done before.
        tasks: what `find_tasks` returns.
        limit: items of each task at the most; of a group, of each of its tasks.
        batch_size: items at once; where memory runs out, the task starts over with half of it.
        seed: of everything that lm-eval draws.
        finished: what was done before, and where what is done now is kept; None for neither.

    Raises:
        InputError: a task cannot be run.
        OutOfMemory: one item does not fit the memory.
    """
    size, found = BatchSize.of(batch_size, "evaluate.batch_size"), Abilities([], 0, {}, {})
    loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase] | None = None
    for task in tasks.loaded:
        key = "" if finished is None else _key(finished, tasks, task, limit, seed)
        known = None if finished is None else finished.journal.get(key)
        if finished is not None and known is not None:
            finished.tell(f"{name_of(task)}: done before, kept")
            one = Abilities(**known | {"scores": [Ability(**row) for row in known["scores"]]})
        else:
            loaded = loaded or load()
            one = _scored(*loaded, tasks, task, limit, size, seed)
            if finished is not None:
                finished.journal.put(key, one._asdict() | {"scores": [row._asdict() for row in one.scores]})
        scores = [*found.scores, *one.scores]
        found = Abilities(scores, found.cut + one.cut, found.shots | one.shots, found.versions | one.versions)
    return found


def _key(finished: Finished, tasks: Tasks, task: Any, limit: int | None, seed: int) -> str:
    told = json.dumps([finished.model, tasks.digests[name_of(task)], limit, seed], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def _scored(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Tasks,
    task: Any,
    limit: int | None,
    size: BatchSize,
    seed: int,
) -> Abilities:
    while True:
        try:
            with warnings_heard() as heard, code_allowed(tasks.run_code):
                found = _evaluated(model, tokenizer, tasks, task, limit, size.now, seed)
        # What runs here is lm-eval, and the functions and templates of a task's file: any of them may fail in any way.
        except Exception as error:
            if not out_of_memory(error):
                raise cannot_run(task, error) from error
            size.halve(error, size.now)
        else:
            cuts = sum("runcat" in text for text in heard)
            return Abilities(list(_abilities(found)), cuts, found["n-shot"], found["versions"])
        release()


def versus(ours: Sequence[Ability], theirs: Sequence[Ability], *, resamples: int, seed: int) -> list[dict[str, Any]]:
    """One model minus another, measure by measure, on the same items.

    Returns:
        Task, metric, the mean difference with its paired 95 % interval (None where items have no values), `n`, and on
        how many items both have the same value, `same`.
    """
    rows = []
    for one, other in zip(ours, theirs, strict=True):
        shared = [key for key in one.items if key in other.items]
        found = Estimate(None, None, None, 0)
        if shared:
            left, right = ([model.items[key] for key in shared] for model in (one, other))
            less = share_difference if {*left, *right} <= {0.0, 1.0} else difference
            found = less(left, right, shared, resamples=resamples, seed=seed)
        same = sum(one.items[key] == other.items[key] for key in shared)
        rows.append({"task": one.task, "metric": one.metric, **found.to_json(), "same": same})
    return rows


def _evaluated(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Tasks,
    task: Any,
    limit: int | None,
    batch_size: int,
    seed: int,
) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    thinks = _THOUGHT_ENDS in tokenizer.get_vocab()
    wrapped = HFLM(
        pretrained=model,
        tokenizer=tokenizer,
        batch_size=batch_size,
        think_end_token=_THOUGHT_ENDS if thinks else None,
    )
    found: dict[str, Any] = simple_evaluate(
        model=wrapped,
        tasks=[task],
        task_manager=tasks.manager,
        apply_chat_template=True,
        limit=limit,
        confirm_run_unsafe_code=tasks.run_code,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
    )
    return found


def _abilities(found: dict[str, Any]) -> Iterator[Ability]:
    for task, measured in found["results"].items():
        for key, value in measured.items():
            metric, _, reading = key.partition(",")
            if metric.endswith("_stderr") or not reading or not isinstance(value, int | float):
                continue
            items = _items(found, task, metric, reading)
            mean = math.fsum(items.values()) / len(items) if items else math.nan
            yield Ability(
                task,
                metric if reading == "none" else f"{metric} ({reading})",
                _finite(value),
                _finite(measured.get(f"{metric}_stderr,{reading}")),
                int(measured["sample_len"]),
                items if math.isclose(mean, value, abs_tol=1e-9) else {},
            )


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _items(found: dict[str, Any], name: str, metric: str, reading: str) -> dict[str, float]:
    """The values of a task's items, or of all items of a group's tasks."""
    if name in found["group_subtasks"]:
        below = [_items(found, one, metric, reading) for one in found["group_subtasks"][name]]
        return {key: value for part in below for key, value in part.items()}
    rows = [row for row in found["samples"].get(name, ()) if row["filter"] == reading and metric in row]
    values = {f"{name}/{row['doc_id']}": row[metric] for row in rows}
    numbers = {key: float(value) for key, value in values.items() if isinstance(value, int | float)}
    return numbers if len(numbers) == len(values) else {}
