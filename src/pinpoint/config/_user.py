"""Settings of a behaviour that a user brings in files."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pinpoint.config._base import Settings, Text
from pinpoint.config._data import DataConfig
from pinpoint.config._openings import Texts, Wanted

# Keys that stand beside a behaviour's measures in summary.json.
_TAKEN = frozenset(
    (
        "abilities",
        "by_set",
        "full",
        "further",
        "heads",
        "kl",
        "kl_greedy",
        "kl_passages",
        "kl_passages_greedy",
        "pinpoint",
        "reached",
        "seconds",
        "step",
        "trainable_parameters",
        "versus_base",
    )
)

Rule = Literal["contains_any", "contains_all", "regex", "first_token", "letter", "model"]


def checked_targets(rule: Rule, targets: Texts) -> Texts:
    """Targets that the rule can be held to.

    Raises:
        ValueError: one is not a regular expression, or no letter.
    """
    for target in targets:
        if rule == "regex":
            try:
                re.compile(target)
            except re.error as error:
                raise ValueError(f"{target!r} is not a regular expression: {error}") from error
        if rule == "letter" and not re.fullmatch("[A-Z]", target):
            raise ValueError(f"{target!r} is not a letter from A to Z")
    if rule == "model" and targets:
        raise ValueError("rule 'model' goes by its question, and takes no targets")
    return targets


class MeasureSettings(Settings):
    """A rate that the behaviour is judged by: the share of replies that pass. Higher is better."""

    rule: Rule
    """What a reply must do: contain a target, contain all, match a regular expression, begin with a target's first
    token, give the letter of an option, or have another model (`judge`) say yes to a question about it."""
    targets: Texts = ()
    """What the rule looks for; a row's own targets stand in place of these."""
    question: Text | None = None
    """What rule `model` asks about a reply, to be answered by yes or no: "Does the assistant refuse?"."""
    negate: bool = False
    """A reply passes where the rule does not hold."""
    goal: float = Field(0.9, ge=0, le=1)
    """Training stops at the first check that reaches every measure's goal; 0 for none."""
    label: str = ""
    """Its name on the page and in tables; made from its key where empty."""
    meaning: str = ""
    """A sentence about it for the page."""

    @model_validator(mode="after")
    def _usable(self) -> "MeasureSettings":
        checked_targets(self.rule, self.targets)
        if self.rule == "model" and self.question is None:
            raise ValueError("rule 'model' needs a question, to be answered by yes or no")
        if self.rule != "model" and self.question is not None:
            raise ValueError(f"a question goes with rule 'model', not with {self.rule!r}")
        return self


class SplitFiles(Settings):
    """Evaluation dialogues in a file for each split."""

    validation: str
    test: str


class UserBehaviourConfig(Settings):
    """A behaviour of the user's: contrast pairs, training dialogues, evaluation dialogues with rules."""

    name: str = Field(pattern=r"^\w[\w .-]*$")
    title: str = ""
    """The behaviour in a few words, for the page."""
    shows: str = "showing the behaviour"
    """What a model does that shows it, as a gerund: "refusing"."""
    refrains: str = "the wanted reply"
    """What one does that does not: "answering"."""
    system: str = ""
    """System message of every dialogue that brings none; empty for none."""
    pairs: str
    """Contrast pairs, one JSON object a line."""
    train: str
    """Training dialogues."""
    evaluation: str | SplitFiles
    """Evaluation dialogues: a file with a `split` column (validation, test), or one file for each."""
    unwanted: Texts = ()
    """First words of replies that show the behaviour, for pairs that bring none of their own; `auto` for those that
    locate finds in the model's replies."""
    wanted: Wanted = Field((), validate_default=True)
    """First words of replies that do not, or `auto`."""
    measures: dict[str, MeasureSettings] = Field(min_length=1)
    """Rates by name; methods are compared for their side effects at the goal of the first."""
    system_prompt: str = ""
    """Tells a model in words not to show the behaviour, for `pinpoint compare`."""

    @field_validator("measures")
    @classmethod
    def _named(cls, measures: dict[str, MeasureSettings]) -> dict[str, MeasureSettings]:
        for name in measures:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"{name!r} is not a name for a measure: use small letters, digits and underscores")
            if name in _TAKEN:
                raise ValueError(f"{name!r} has another meaning in summary.json: choose another name")
        # The first is what training is stopped by, and what methods are matched at.
        first, settings = next(iter(measures.items()))
        if settings.rule == "model":
            raise ValueError(
                f"the first measure, {first!r}, goes by rule 'model', which is asked in the evaluation alone: put one "
                "that training can be checked by before it"
            )
        return measures

    def files(self, data: DataConfig) -> dict[str, str]:
        """Pairs, training and evaluation dialogues, by the keys that name them."""
        files = {"behaviour.pairs": self.pairs, "behaviour.train": self.train}
        if isinstance(self.evaluation, SplitFiles):
            splits = self.evaluation.model_dump()
            return files | {f"behaviour.evaluation.{split}": path for split, path in splits.items()}
        return files | {"behaviour.evaluation": self.evaluation}
