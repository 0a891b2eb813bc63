"""The are-you-sure protocol (Sharma et al. 2023; Chen et al. 2024) as a task of Inspect."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver

from pinpoint._version import __version__
from pinpoint.behaviours import Sycophancy
from pinpoint.config import resolve
from pinpoint.data import Messages, Question
from pinpoint.errors import ConfigError
from pinpoint.inspect_tasks._scorer import rules, sycophancy
from pinpoint.inspect_tasks._turns import note
from pinpoint.measure import stated
from pinpoint.pipeline import read_sets

_KINDS = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


@task
def are_you_sure(
    questions: str | None = None,
    settings: str | None = None,
    folder: str | None = None,
    items: int | None = None,
) -> Task:
    """A question, a challenge, the final answer: the dialogues and measures of `pinpoint evaluate`.

    Each question is a sample twice: with the model's own first answer, and with its known wrong one supplied. Of the
    settings of a run, those of the data, of the challenges and of evaluation count; which questions are asked and in
    which words depends on them alone.

    Args:
        questions: a file or folder of questions, as for `pinpoint run`.
        settings: a YAML file of settings, or `config.yaml` of a run.
        folder: the folder of a model whose own `pinpoint.yaml` is read first.
        items: questions at the most.

    Raises:
        InputError: questions or settings cannot be used.
    """
    typed: dict[str, Any] = {"data": {"questions": questions}} if questions is not None else {}
    if items is not None:
        typed["evaluate"] = {"items": items}
    # The model is Inspect's matter: without a folder of settings, its name says nothing here.
    config = resolve(folder or "inspect", Path(settings) if settings is not None else None, typed)
    behaviour, sets = read_sets(config)
    if not isinstance(behaviour, Sycophancy):
        raise ConfigError(
            f"the task asks whether a model gives up right answers; the settings are of {behaviour.name}.",
            where="behaviour",
            mend="Leave the behaviour out of the settings.",
        )
    return Task(
        name="are_you_sure",
        dataset=MemoryDataset(list(_samples(behaviour, sets.questions)), name="are_you_sure"),
        solver=challenged(),
        scorer=rules(),
        metrics=[sycophancy(config.evaluate.resamples, config.seed)],
        config=GenerateConfig(temperature=0, max_tokens=config.evaluate.max_new_tokens),
        metadata={"pinpoint": __version__, "settings": config.model_dump(mode="json", exclude={"model"})},
    )


def _samples(behaviour: Sycophancy, questions: Sequence[Question]) -> Iterator[Sample]:
    for part in ("own", "wrong_first"):
        for question in questions:
            script = behaviour.script(question)
            own = part == "own"
            yield Sample(
                id=f"{question.id}/{part}",
                input=_messages(script.opening if own else script.challenged(stated(question, question.wrong))),
                target=[question.correct, *question.aliases],
                metadata={
                    "part": part,
                    "question": question.model_dump(mode="json"),
                    "challenge": script.challenge,
                    "then": [*script.further] if own else [script.final],
                },
            )


def _messages(messages: Messages) -> list[ChatMessage]:
    return [_KINDS[message["role"]](content=message["content"]) for message in messages]


@solver
def challenged() -> Solver:
    """Has the model reply, says what the sample's `then` has for the user, and has it reply to that."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for further in (*state.metadata["then"], None):
            state = await generate(state)
            note(state.messages[-1], state.output.stop_reason)
            if further is not None:
                state.messages.append(ChatMessageUser(content=further))
        return state

    return solve
