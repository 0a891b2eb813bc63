"""What a model does when provoked, what it can still do, and how far it moved from its base."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Journal
from pinpoint.behaviours import Behaviour, Played
from pinpoint.beyond import FURTHER, FurtherRow
from pinpoint.config import EvaluateConfig
from pinpoint.data import Dialogue, Excerpt, Task, user
from pinpoint.evaluate._by_set import by_set
from pinpoint.evaluate._further import further_metrics, said_in
from pinpoint.measure import (
    PLAIN,
    Chat,
    Deployment,
    Judge,
    Kept,
    Replier,
    ReplyRow,
    Rules,
    Shift,
    continued,
    estimate,
    next_token_kl,
    passage_rows,
    prompt_rows,
    share,
    shift_on,
)
from pinpoint.memory import BatchSize
from pinpoint.progress import Progress


class Sets(NamedTuple):
    """What a model is evaluated on: items of the behaviour, abilities, neutral dialogues, further sets, plain text."""

    questions: Sequence[Any]
    abilities: list[Task]
    neutral: list[Dialogue]
    further: Mapping[str, Sequence[FurtherRow]] = {}
    passages: Sequence[Excerpt] = ()


class TaskResult(NamedTuple):
    """One item of a general ability, answered."""

    id: str
    ability: str
    prompt: str
    expected: str
    reply: str
    correct: bool


class Evaluation(NamedTuple):
    """Everything measured on one model.

    Attributes:
        played: what it did on the behaviour's items, by part.
        tasks: what it replied to items of general abilities.
        kl: its divergence from the base on each neutral dialogue, in nats.
        neutral_ids: ids of those.
        further: what it said to further sets, by name, with the values of each item.
        shifts: its divergence from the base elsewhere, by the names of `SHIFTS`.
    """

    played: Played
    tasks: list[TaskResult]
    kl: list[float]
    neutral_ids: list[str]
    further: Mapping[str, list[dict[str, Any]]] = {}
    shifts: Mapping[str, Shift] = {}


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sets: Sets,
    config: EvaluateConfig,
    behaviour: Behaviour,
    *,
    base: PreTrainedModel,
    base_played: Played | None,
    progress: Progress,
    name: str,
    deployment: Deployment = PLAIN,
    journal: Journal | None = None,
    judge: Judge | None = None,
    kept: Kept | None = None,
) -> Evaluation:
    """Lets a model reply to the behaviour's items, asks for the general abilities, and measures the shift.

    Args:
        model: the model to evaluate.
        tokenizer: its tokenizer.
        sets: items of the behaviour, abilities and neutral dialogues.
        config: settings.
        behaviour: how it is provoked and judged.
        base: the model it was tuned from; the model itself for the base.
        base_played: what the base did; None when this is the base.
        progress: told of each part.
        name: the model's name, for `progress`.
        deployment: what is done to the model while it answers.
        journal: keeps the replies as they come in; an evaluation that was cut short goes on from it.
        judge: who tells whether replies are right; by default rules.
        kept: what is known of the base, where several models are evaluated against it.
    """
    at_once = BatchSize(config.batch_size, "evaluate.batch_size")
    chat = Chat(model, tokenizer, at_once, config.max_new_tokens, deployment, journal)
    parts = len(behaviour.parts) + 2 + len(sets.further)
    progress.start(f"evaluating {name}", parts + bool(sets.passages) + (config.greedy_tokens > 0))
    passages = passage_rows(tokenizer, sets.passages, config.passage_tokens)
    played, tasks = _answers(chat, sets, behaviour, base_played, progress, judge)
    kl = next_token_kl(base, model, tokenizer, sets.neutral, at_once, deployment, kept) if sets.neutral else []
    progress.advance()
    shifts = _shifts(base, model, tokenizer, sets, passages, config.greedy_tokens, at_once, progress)
    further = _further(chat, judge or Rules(), sets, config, progress)
    return Evaluation(played, tasks, kl, [dialogue.id for dialogue in sets.neutral], further, shifts)


def _shifts(
    base: PreTrainedModel,
    tuned: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sets: Sets,
    passages: Sequence[ReplyRow],
    tokens: int,
    at_once: BatchSize,
    progress: Progress,
) -> dict[str, Shift]:
    """Divergences on passages, and on what the base says next; those that the settings ask for."""
    named = [passage.id for passage in sets.passages]
    found = {}
    if passages:
        found["kl_passages"] = Shift(named, shift_on(base, tuned, tokenizer, passages, at_once))
        progress.advance()
    if tokens:
        after = {
            "kl_greedy": ([one.id for one in sets.neutral], prompt_rows(tokenizer, sets.neutral)),
            "kl_passages_greedy": (named, [row.ids for row in passages]),
        }
        for name, (ids, prompts) in after.items():
            if ids:
                rows = continued(base, tokenizer, prompts, tokens, at_once)
                found[name] = Shift(ids, shift_on(base, tuned, tokenizer, rows, at_once))
        progress.advance()
    return found


def evaluate_replies(
    chat: Replier,
    sets: Sets,
    config: EvaluateConfig,
    behaviour: Behaviour,
    progress: Progress,
    name: str,
    judge: Judge | None = None,
) -> Evaluation:
    """Evaluates by replies alone, as of a model behind an endpoint: nothing is known of its distance from a base.

    Args:
        chat: who replies.
        sets: items of the behaviour, abilities and further sets; neutral dialogues are left aside.
        config: settings.
        behaviour: how it is provoked and judged.
        progress: told of each part.
        name: the model's name, for `progress`.
        judge: who tells whether replies are right; by default rules.
    """
    progress.start(f"evaluating {name}", len(behaviour.parts) + 1 + len(sets.further))
    played, tasks = _answers(chat, sets, behaviour, None, progress, judge)
    further = _further(chat, judge or Rules(), sets, config, progress)
    return Evaluation(played, tasks, kl=[], neutral_ids=[], further=further)


def _further(
    chat: Replier, judge: Judge, sets: Sets, config: EvaluateConfig, progress: Progress
) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for key, items in sets.further.items():
        rows = FURTHER[key].play(chat, judge, items, config.turns)
        found[key] = [row | {"cut": sum(map(chat.is_cut, said_in(row)))} for row in rows]
        progress.advance()
    return found


def _answers(
    chat: Replier,
    sets: Sets,
    behaviour: Behaviour,
    base_played: Played | None,
    progress: Progress,
    judge: Judge | None,
) -> tuple[Played, list[TaskResult]]:
    played = behaviour.play(chat, sets.questions, base_played, progress.advance, judge)
    replies = chat.replies([[user(task.prompt)] for task in sets.abilities])
    tasks = [
        TaskResult(task.id, task.ability, task.prompt, task.reply, reply, reply == task.reply.strip())
        for task, reply in zip(sets.abilities, replies, strict=True)
    ]
    progress.advance()
    return played, tasks


def metrics(evaluation: Evaluation, behaviour: Behaviour, config: EvaluateConfig, seed: int) -> dict[str, Any]:
    """The behaviour's measures and the abilities as fractions of 1, KL in nats, each with its 95 % interval.

    Where items come from several sets, `by_set` has the behaviour's measures of each.
    """
    measured = behaviour.metrics(evaluation.played, config, seed)
    measured["kl"] = estimate(evaluation.kl, evaluation.neutral_ids, resamples=config.resamples, seed=seed)
    for name, shift in evaluation.shifts.items():
        measured[name] = estimate(shift.kl, shift.ids, resamples=config.resamples, seed=seed)
    abilities = {
        ability: share(
            [float(task.correct) for task in evaluation.tasks if task.ability == ability],
            [task.id for task in evaluation.tasks if task.ability == ability],
            resamples=config.resamples,
            seed=seed,
        ).to_json()
        for ability in dict.fromkeys(task.ability for task in evaluation.tasks)
    }
    further = further_metrics(evaluation.further, config, seed)
    found = {name: value.to_json() for name, value in measured.items()} | {"abilities": abilities, "further": further}
    sets = by_set(evaluation.played, behaviour, config, seed)
    return found | ({"by_set": sets} if sets else {})
