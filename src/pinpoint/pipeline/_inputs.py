"""What a run works on: its questions, dialogues and tasks, read once and dealt the same way to every stage."""

from functools import cached_property
from typing import Any

from pinpoint.behaviours import Behaviour, Sycophancy
from pinpoint.config import RunConfig
from pinpoint.data import (
    Dialogue,
    Question,
    Split,
    Task,
    deal,
    draw,
    in_normal_form,
    neutral_dialogues,
    read_dialogues,
    read_published,
    read_questions,
    read_tasks,
)
from pinpoint.errors import InputError
from pinpoint.evaluate import Sets
from pinpoint.pipeline._halves import Halves, halves
from pinpoint.progress import Progress


class Inputs:
    """Questions, contrast pairs, dialogues and tasks of one run.

    Args:
        config: the settings.
        progress: told what of a published set was left out.

    Attributes:
        unusable: rows of a published set that no question was made of, with the reason; filled as it is read.
    """

    def __init__(self, config: RunConfig, progress: Progress) -> None:
        self.config = config
        self.unusable: list[dict[str, Any]] = []
        self._progress = progress
        self._dealt = ""

    @cached_property
    def behaviour(self) -> Behaviour:
        """What is located, trained away and measured."""
        return Sycophancy(self.config.behaviour)

    @cached_property
    def _questions(self) -> list[Question]:
        path = self.config.data.questions
        if in_normal_form(path):
            return read_questions(path)
        dealt = deal(read_published(path), self.config.seed)
        self._dealt = f": {dealt.summary()}"
        self._progress.say(f"{path}{self._dealt}")
        self.unusable = [row._asdict() for row in dealt.unusable]
        return dealt.questions

    def questions(self, split: Split) -> list[Question]:
        """The questions of one split.

        Raises:
            InputError: there are none.
        """
        some = [question for question in self._questions if question.split == split]
        if not some:
            raise InputError(
                f"no question has split {split!r}{self._dealt}.",
                where=self.config.data.questions,
                mend="Give more questions, or look at why some were left out.",
            )
        return some

    @cached_property
    def halves(self) -> Halves:
        """The contrast pairs, and which of them rank the heads and which show their effects."""
        pairs = self.behaviour.pairs(self.questions("locate"))
        return halves(pairs, self.config.locate.pairs, self.config.seed)

    @cached_property
    def neutral(self) -> list[Dialogue]:
        """Neutral dialogues: those of the file, or made from the questions kept for locating."""
        if self.config.data.neutral is None:
            return neutral_dialogues(self.questions("locate"), self.config.behaviour.affirmation)
        return read_dialogues(self.config.data.neutral)

    @cached_property
    def _tasks(self) -> list[Task]:
        return read_tasks(self.config.data.abilities) if self.config.data.abilities else []

    def sets(self) -> Sets:
        """What models are evaluated on, cut to the configured sizes."""
        config, seed = self.config.evaluate, self.config.seed
        kept = []
        for ability in dict.fromkeys(task.ability for task in self._tasks):
            kept += draw([task for task in self._tasks if task.ability == ability], config.ability_items, seed)
        neutral = draw(self.neutral, config.neutral_items, seed)
        return Sets(draw(self.questions("test"), config.items, seed), kept, neutral)

    def read(self) -> None:
        """Reads every file of questions, dialogues and tasks, so that a bad one is told before anything is done.

        Raises:
            InputError: one cannot be used; names the file, the line and what is wrong.
        """
        self.questions("locate")
        _ = self.neutral, self._tasks
