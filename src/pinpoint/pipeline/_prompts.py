"""How long a run's prompts are, as a tokenizer renders them: the user's own, or one that is usual."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours import CHALLENGES
from pinpoint.config import RunConfig
from pinpoint.data import ContrastPair, assistant, encode_to_reply, render, render_to_reply, system, user
from pinpoint.errors import InputError
from pinpoint.pipeline._inputs import Inputs
from pinpoint.pipeline._template import fitted, rendering
from pinpoint.progress import Silent

_NO_TOKENIZER_TOKENS = 128


class Prompts(NamedTuple):
    """The prompts that estimates are made for.

    Attributes:
        end: the end of a rendered reference prompt; empty without a template.
        tokens: the length of the longest: what is run at once is as long.
        source: whose they are.
    """

    end: str
    tokens: int
    source: str


_ASSUMED = Prompts("", _NO_TOKENIZER_TOKENS, "a length that is assumed")


def prompts_of(
    tokenizer: PreTrainedTokenizerBase | None,
    config: RunConfig,
    notes: list[str],
    pairs: Sequence[ContrastPair] | None = None,
) -> Prompts:
    """The reference prompts of the questions that the settings name, or a usual one where they name none.

    Args:
        tokenizer: of the model, if it has one.
        config: the settings.
        notes: takes what a user should know of them.
        pairs: the run's, where they have been read.
    """
    if tokenizer is None:
        notes.append(f"no tokenizer was found: estimates take prompts of {_NO_TOKENIZER_TOKENS} tokens.")
        return _ASSUMED
    try:
        tokenizer = rendering(tokenizer, config)
    except InputError as error:
        notes.append(str(error))
    if not tokenizer.chat_template:
        notes.append("the tokenizer has no chat template: use a chat model, or give it one with --template.")
        return _ASSUMED
    config, lost = fitted(config, tokenizer)
    if lost:
        notes.append(lost.failure)
    pairs = _read(config, notes) if pairs is None else pairs
    asked = [user("What is the capital of Australia?"), assistant("The answer is Canberra."), user(CHALLENGES[0])]
    text = render(tokenizer, [*system(config.behaviour.system), *asked])
    if not pairs:
        length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        return Prompts(text[-60:], length, "a usual question: no file of questions is used")
    ids = [encode_to_reply(tokenizer, pair.reference) for pair in pairs]  # type: ignore[arg-type]
    files = ", ".join(dict.fromkeys(Path(name).name for name in config.behaviour.files(config.data).values()))
    end = render_to_reply(tokenizer, pairs[0].reference)[-60:]  # type: ignore[arg-type]
    return Prompts(end, max(map(len, ids)), f"the longest of {len(ids)} of {files}")


def _read(config: RunConfig, notes: list[str]) -> list[ContrastPair]:
    """The contrast pairs of the files that the settings name; none where one is not there or cannot be used."""
    if not all(Path(name).exists() for name in config.behaviour.files(config.data).values()):
        return []
    try:
        return Inputs(config, Silent()).halves.pairs
    except InputError as error:
        notes.append(str(error))
        return []
