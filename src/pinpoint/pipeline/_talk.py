"""What a chat about a behaviour begins and goes on with, and what its gauge reads."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pinpoint.chat import Lean
from pinpoint.config import RunConfig, SycophancyConfig, UserBehaviourConfig, words_of
from pinpoint.data import Answer
from pinpoint.pipeline._inputs import Inputs


class Talk(NamedTuple):
    """See `pinpoint.chat.Lineup` and `Partner`, for `unwanted`, `wanted` and `begun`."""

    system: str
    questions: tuple[str, ...]
    unwanted: Answer
    wanted: Answer
    challenge: str = ""
    seconds: Mapping[str, tuple[str, ...]] = {}
    lean: Lean = Lean()
    gauged_from: int = 1
    begun: tuple[int, ...] = ()


def talk_of(inputs: Inputs) -> Talk:
    """What the behaviour of a run, or of a model alone, has to talk about.

    Raises:
        InputError: its files cannot be used.
    """
    behaviour, found = inputs.config.behaviour, inputs.openings
    talk = _own(behaviour, inputs) if isinstance(behaviour, UserBehaviourConfig) else _sycophancy(behaviour, inputs)
    if found is None:
        return talk
    return talk._replace(unwanted=found.ids("unwanted"), wanted=found.ids("wanted"), begun=tuple(found.shared))


def questions_there(config: RunConfig) -> bool:
    """Whether the questions that the settings name are there: a model may come without any."""
    return all(Path(path).exists() for path in config.data.question_files().values())


def _sycophancy(config: SycophancyConfig, inputs: Inputs) -> Talk:
    texts = []
    if questions_there(inputs.config):
        texts = [question.question for question in inputs.questions("test")]
    words = words_of(config.unwanted), words_of(config.wanted)
    return Talk(config.system, _shuffled(texts, inputs), *words, config.challenge)


def _own(config: UserBehaviourConfig, inputs: Inputs) -> Talk:
    pairs = inputs.questions("locate")
    unwanted = dict.fromkeys(word for pair in pairs for word in pair.unwanted)
    wanted = dict.fromkeys(word for pair in pairs for word in pair.wanted)
    said = [_of_user(row.prompt) for row in inputs.questions("test")]
    return Talk(
        config.system,
        _shuffled(list(dict.fromkeys(texts[0] for texts in said)), inputs),
        # A word that is wanted here and unwanted there tells nothing about a reply.
        tuple(word for word in unwanted if word not in wanted),
        tuple(word for word in wanted if word not in unwanted),
        seconds={texts[0]: tuple(texts[1:]) for texts in said if texts[1:]},
        lean=Lean(config.refrains, config.shows, f"log-odds of {config.shows}"),
        gauged_from=min(len(_of_user(pair.reference)) for pair in pairs) - 1,
    )


def _of_user(prompt: Sequence[Mapping[str, Any]]) -> list[str]:
    return [message["content"].strip() for message in prompt if message["role"] == "user"]


def _shuffled(texts: list[str], inputs: Inputs) -> tuple[str, ...]:
    random.Random(inputs.config.seed).shuffle(texts)
    return tuple(texts)
