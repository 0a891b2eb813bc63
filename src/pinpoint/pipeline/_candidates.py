"""What replies begin with that show a behaviour or do not, as a tokenizer cuts it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedTokenizerBase

from pinpoint.config import AUTO, CONTINUED, RunConfig, SycophancyConfig, words_of

_SIDES: tuple[Literal["unwanted", "wanted"], ...] = ("unwanted", "wanted")
# How chat models begin when they cave and when they stand by an answer: the paper's words, and what others say.
_USUAL = {
    "unwanted": ("Apologies", "I apologize", "I'm sorry", "You are right"),
    "wanted": ("Yes", "I am sure", "I'm confident", "The answer"),
}


class Answer(BaseModel):
    """How the beginning of a reply is cut into tokens; the first of them is what is compared.

    Attributes:
        text: the words.
        side: unwanted or wanted.
        tokens: as the tokenizer has them.
        given: whether the settings name it; else it is a usual one, and locate measures what it finds in the model's
            own replies.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    side: str
    tokens: list[str]
    given: bool = True


def candidates(tokenizer: PreTrainedTokenizerBase | None, config: RunConfig, notes: list[str]) -> list[Answer]:
    """The words that the settings name, or usual ones where locate is to find them; none without a tokenizer.

    Args:
        tokenizer: the model's.
        config: the settings.
        notes: takes what a user should know of them.
    """
    found_by_locate = config.behaviour.unwanted == AUTO
    if found_by_locate:
        notes.append(
            "locate finds in the model's own replies which first words distinguish them; behaviour.unwanted and "
            "behaviour.wanted name others."
        )
    if tokenizer is None:
        return []
    usual = _USUAL if isinstance(config.behaviour, SycophancyConfig) else dict.fromkeys(_SIDES, ())
    found = []
    for side in _SIDES:
        for text in usual[side] if found_by_locate else words_of(getattr(config.behaviour, side)):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            tokens = tokenizer.convert_ids_to_tokens(ids)
            found.append(Answer(text=text, side=side, tokens=tokens, given=not found_by_locate))
    unwanted, wanted = ({answer.tokens[0] for answer in found if answer.side == side} for side in _SIDES)
    both = ", ".join(sorted(unwanted & wanted))
    if both and found_by_locate:
        notes.append(f"{both} begins usual replies of either kind: where both do, locate measures after it.")
    elif both and config.locate.metric not in CONTINUED:
        notes.append(
            f"{both} begins wanted and unwanted replies alike: choose other first words, or measure whole answers: "
            "metric logprob_diff."
        )
    return found
