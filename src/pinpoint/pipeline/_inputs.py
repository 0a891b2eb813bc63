"""What a run works on: its questions, dialogues and tasks, read once and dealt the same way to every stage."""

import random
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.beyond import FURTHER, Found
from pinpoint.checks import CheckResult
from pinpoint.config import AUTO, RunConfig, TuneConfig
from pinpoint.data import Dialogue, Excerpt, Split, Task, draw, read_dialogues, read_passages, read_tasks
from pinpoint.errors import InputError
from pinpoint.evaluate import Sets
from pinpoint.measure import NEEDS_MODEL, Openings
from pinpoint.pipeline._answers import answered, recorded_answers
from pinpoint.pipeline._halves import Halves, halves
from pinpoint.pipeline._leaks import no_leak
from pinpoint.progress import Progress, Silent


class Inputs:
    """Questions, contrast pairs, dialogues and tasks of one run.

    Args:
        config: the settings.
        progress: told what of a published set was left out.
        workspace: the run folder, whose locate stage may have found the answers of the pairs.
    """

    def __init__(self, config: RunConfig, progress: Progress, workspace: Workspace | None = None) -> None:
        self.config = config
        self._workspace = workspace
        self._unusable: list[dict[str, Any]] = []
        self._progress = progress
        self._dealt = ""

    @cached_property
    def behaviour(self) -> Behaviour:
        """What is located, trained away and measured."""
        return behaviour_of(self.config.behaviour)

    @cached_property
    def _items(self) -> Sequence[Any]:
        found = self.behaviour.read(self.config.data, self.config.seed)
        if found.summary:
            self._dealt = f": {found.summary}"
            self._progress.say(f"{self._files}{self._dealt}")
        self._unusable = list(found.unusable)
        return found.items

    @property
    def unusable(self) -> list[dict[str, Any]]:
        """Rows of the question sets, the further ones included, that nothing was made of: line and reason."""
        _ = self._items
        return self._unusable + [row for found in self.further.values() for row in found.unusable]

    def list_unusable(self, workspace: Workspace) -> None:
        """Writes those rows to `unusable.json`, where there are any."""
        if self.unusable:
            workspace.write_json("unusable.json", self.unusable)
        else:
            workspace.drop("unusable.json")

    @property
    def _files(self) -> str:
        return ", ".join(self.behaviour.files(self.config.data).values())

    def questions(self, split: Split) -> list[Any]:
        """The behaviour's items of one split: questions, or what a behaviour of the user's has in their place.

        Raises:
            InputError: there are none.
        """
        some = [item for item in self._items if item.split == split]
        if not some:
            raise InputError(
                f"no question has split {split!r}{self._dealt}.",
                where=self._files,
                mend="Give more questions, or look at why some were left out.",
            )
        return some

    @property
    def answers_found(self) -> bool:
        """Whether the settings leave it to the model's replies what its pairs are measured by."""
        return self.config.behaviour.unwanted == AUTO

    @cached_property
    def openings(self) -> Openings | None:
        """What the locate stage found of how replies begin; None before it has, or where it does not have to."""
        return recorded_answers(self._workspace) if self._workspace and self.answers_found else None

    @cached_property
    def _pairs(self) -> Halves:
        pairs = self.behaviour.pairs(self.questions("locate"))
        return halves(pairs, self.config.locate.pairs, self.config.seed)

    @property
    def halves(self) -> Halves:
        """The contrast pairs, and which of them rank the heads and which show their effects."""
        return self._pairs._replace(pairs=answered(self._pairs.pairs, self.openings))

    @cached_property
    def neutral(self) -> list[Dialogue]:
        """Neutral dialogues: those of the file, or made from the questions kept for locating."""
        if self.config.data.neutral is None:
            return self.behaviour.neutral(self.questions("locate"))
        return read_dialogues(self.config.data.neutral)

    @cached_property
    def _evaluated(self) -> list[int]:
        """Five sixths of the neutral dialogues, as drawn: what is chosen by its KL is not to be measured by the same.

        Raises:
            InputError: there is only one dialogue.
        """
        count = len(self.neutral)
        if count < 2:
            raise InputError(
                f"there is {count} neutral dialogue; at least 2 are needed, one to evaluate on, one to choose by.",
                where=self.config.data.neutral or "data.neutral",
                mend="Give more of them.",
            )
        return random.Random(self.config.seed).sample(range(count), count * 5 // 6)

    def neutral_evaluated(self) -> list[Dialogue]:
        """The neutral dialogues that models are evaluated on."""
        return [self.neutral[i] for i in sorted(self._evaluated[: self.config.evaluate.neutral_items])]

    def neutral_checked(self, config: TuneConfig) -> list[Dialogue]:
        """Those of each check while tuning, by which a comparison and a sweep choose too; none is evaluated on."""
        kept = sorted(set(range(len(self.neutral))) - set(self._evaluated))
        return draw([self.neutral[i] for i in kept], config.check_items, self.config.seed)

    @cached_property
    def passages(self) -> list[Excerpt]:
        """Passages of plain text, where the settings name a file of them."""
        return read_passages(self.config.data.passages) if self.config.data.passages else []

    @cached_property
    def further(self) -> dict[str, Found]:
        """Items of the further sets that the settings name a file for.

        Raises:
            InputError: the judge cannot tell the replies to one, or two items of one share their name.
        """
        found = {}
        for name, one in FURTHER.items():
            path = getattr(self.config.data, name)
            if path is None:
                continue
            if one.model_judged and self.config.judge.kind != "model":
                raise InputError(
                    "only another model can judge replies to this set.",
                    where=f"data.{name}",
                    mend=f"{NEEDS_MODEL} Or leave the set out.",
                )
            found[name] = one.read(path, self.config.seed)
            self._check_further(name, found[name])
            if found[name].unusable:
                first = found[name].unusable[0]
                left_out = f"{len(found[name].unusable)} rows left out (first: {first['line']}: {first['reason']})"
                self._progress.say(f"{path}: {len(found[name].items)} items; {left_out}")
        return found

    def _check_further(self, name: str, found: Found) -> None:
        places: dict[str, str] = {}
        for item in found.items:
            # Differences between models are paired by it.
            if places.setdefault(item.id, item.place) != item.place:
                raise InputError(
                    f"id {item.id!r} was already used in {places[item.id]}.",
                    where=item.place,
                    mend="Give each item an id of its own.",
                )
        free = sum(not item.options for item in found.items)
        if self.config.judge.kind == "letters" and free:
            raise InputError(
                f"{free} of {len(found.items)} items list no options: the judge by letters cannot read the replies.",
                where=f"data.{name}",
                mend="Have them judged by --judge rules or model, or leave the set out.",
            )

    def check_judge(self) -> None:
        """Looks that there is a model where measures are left to one: before an evaluation, which alone asks it.

        Raises:
            InputError: there is none.
        """
        if (left := self.behaviour.judged_by_model) and self.config.judge.kind != "model":
            raise InputError(
                f"rule 'model' leaves {', '.join(left)} to another model, and none is named.",
                where="behaviour.measures",
                mend=NEEDS_MODEL,
            )

    @cached_property
    def _tasks(self) -> list[Task]:
        return read_tasks(self.config.data.abilities) if self.config.data.abilities else []

    def sets(self, *, neutral: bool = True) -> Sets:
        """What models are evaluated on, cut to the configured sizes; `neutral` keeps neutral dialogues and passages."""
        config, seed = self.config.evaluate, self.config.seed
        kept = []
        for ability in dict.fromkeys(task.ability for task in self._tasks):
            kept += draw([task for task in self._tasks if task.ability == ability], config.ability_items, seed)
        dialogues = self.neutral_evaluated() if neutral else []
        further = {name: draw(found.items, config.further_items, seed) for name, found in self.further.items()}
        passages = draw(self.passages, config.passage_items, seed) if neutral else []
        return Sets(draw(self.questions("test"), config.items, seed), kept, dialogues, further, passages)

    @cached_property
    def unleaked(self) -> CheckResult:
        """That no question is trained on, or heads located or verified with it, and a model evaluated on it.

        Neutral dialogues are left out: nothing is right or wrong in them.

        Raises:
            InputError: one is; names both places.
        """
        further = [item for found in self.further.values() for item in found.items]
        sets = {
            "training": self.questions("train"),
            "locating and verifying": [*self.questions("locate"), *self.questions("validation")],
            "evaluation": [*self.questions("test"), *self._tasks, *further],
        }
        return no_leak(sets)

    def read(self) -> None:
        """Reads every file of questions, dialogues and tasks, so that a bad one is told before anything is done.

        Raises:
            InputError: one cannot be used, or two share a question; names the file, the line and what is wrong.
        """
        self.questions("locate")
        if self.config.tune.anchor:
            self.behaviour.neutral(self.questions("train"))
        if self.config.tune.explanations != "none":
            self.behaviour.explanations(self.questions("train"), None)
        if self.config.tune.wrong_answers != "dealt":
            self.behaviour.wrong_answers(self.questions("train"), None)
        _ = self._evaluated, self.passages, self._tasks, self.unleaked


def read_sets(config: RunConfig) -> tuple[Behaviour, Sets]:
    """The behaviour of some settings, and what models are evaluated on, without neutral dialogues.

    Raises:
        InputError: a file cannot be used; names the file, the line and what is wrong.
    """
    inputs = Inputs(config, Silent())
    return inputs.behaviour, inputs.sets(neutral=False)
