"""A behaviour of the user's, from files: contrast pairs, training dialogues, evaluation dialogues with rules."""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pinpoint.behaviours._explanations import Explanation
from pinpoint.behaviours._protocol import NOTHING, Material, Measure, Outcomes, Played, PreferenceRow, TrainingRow
from pinpoint.behaviours._rules import holds
from pinpoint.behaviours._user_rows import EvaluationRow, PairRow, Replied, TrainRow
from pinpoint.behaviours._wrong_answers import WrongAnswer
from pinpoint.config import (
    AUTO,
    DataConfig,
    EvaluateConfig,
    MeasureSettings,
    SplitFiles,
    TuneConfig,
    UserBehaviourConfig,
    checked_targets,
    words_of,
)
from pinpoint.data import ContrastPair, Dialogue, Located, Message, Said, read_rows, system
from pinpoint.errors import InputError
from pinpoint.measure import Chat, Estimate, Judge, Replier, difference, share

EXAMPLES = 6
_MEANING = "the share of replies that pass its rule"
_UNMATCHED = 0.9  # where the first measure has no goal


class UserBehaviour:
    """See `UserBehaviourConfig` for what its files hold."""

    kind = "user"
    counterfactual = "on the counterfactual prompt"
    parts: tuple[str, ...] = ("replies",)

    def __init__(self, config: UserBehaviourConfig) -> None:
        self._config = config
        self.name, self.title = config.name, config.title or config.name
        self.shows, self.refrains = config.shows, config.refrains
        self.system_prompt = config.system_prompt
        labels = {name: one.label or name.replace("_", " ").capitalize() for name, one in config.measures.items()}
        self.measures = tuple(
            Measure(name, labels[name], paired=name, short=labels[name], meaning=one.meaning or _MEANING)
            for name, one in config.measures.items()
        )
        self.plotted = tuple(labels)[:2]
        self.tested = dict(labels)
        self.knocked = dict(labels)
        first, settings = next(iter(config.measures.items()))
        self.matched = (first, settings.goal or _UNMATCHED)

    # What it is made of.

    def files(self, data: DataConfig) -> dict[str, str]:
        """Pairs, training and evaluation dialogues."""
        return self._config.files(data)

    def read(self, data: DataConfig, seed: int) -> Material:
        """Pairs for locating, training dialogues, evaluation dialogues for validation and test."""
        config = self._config
        items = self._named(config.pairs, read_rows(config.pairs, PairRow), self._pair)
        items += self._named(config.train, read_rows(config.train, TrainRow), lambda row: row)
        if isinstance(config.evaluation, SplitFiles):
            for split, path in config.evaluation.model_dump().items():
                rows = [
                    Located(line, row.model_copy(update={"split": split}))
                    for line, row in read_rows(path, EvaluationRow)
                ]
                items += self._named(path, rows, self._judged)
        else:
            items += self._named(config.evaluation, read_rows(config.evaluation, EvaluationRow), self._judged)
        self._check_measures(items)
        return Material(items)

    def _named(self, path: str, rows: Sequence[Located], check: Callable[[Any], Any]) -> list[Any]:
        """Rows with an id, a group and the behaviour's system message, held to a check that raises ValueError."""
        named, seen = [], dict[str, int]()
        for line, row in rows:
            ident = row.id or f"{Path(path).stem}:{line}"
            try:
                if ident in seen:
                    raise ValueError(f"id {ident!r} was already used in line {seen[ident]}")
                checked = check(row)
            except ValueError as error:
                mend = "Mend the row, or leave it out; docs/behaviours.md shows the form."
                raise InputError(f"{error}.", where=f"{path}:{line}", mend=mend) from error
            seen[ident] = line
            prompts = {
                key: self._opened(getattr(checked, key))
                for key in ("reference", "counterfactual", "prompt")
                if hasattr(checked, key)
            }
            whole = checked.model_copy(update={"id": ident, "group": row.group or ident, **prompts})
            named.append(whole.at(f"{path}:{line}"))
        return named

    def _opened(self, messages: list[Message]) -> list[Message]:
        return messages if messages[0]["role"] == "system" else [*system(self._config.system), *messages]

    def _pair(self, row: PairRow) -> PairRow:
        found = self._config.unwanted == AUTO
        given = {side: getattr(row, side) or words_of(getattr(self._config, side)) for side in ("unwanted", "wanted")}
        for side, texts in given.items():
            if texts and found:
                raise ValueError(f"{side} first words are given here, and the behaviour's file has them found (auto)")
            if not texts and not found:
                raise ValueError(f"no {side} first words: give {side!r} here, or for all pairs in the behaviour's file")
        if row.reference == row.counterfactual:
            raise ValueError("reference and counterfactual are the same")
        return row.model_copy(update=given)

    def _judged(self, row: EvaluationRow) -> EvaluationRow:
        known = self._config.measures
        name = row.measure or (next(iter(known)) if len(known) == 1 else "")
        if name not in known:
            raise ValueError(f"measure {name!r} is none of {', '.join(known)}")
        if row.split not in ("validation", "test"):
            raise ValueError("split must be 'validation' or 'test': add it, or name a file for each under `evaluation`")
        targets = checked_targets(known[name].rule, row.targets or known[name].targets)
        if not targets:
            raise ValueError(f"no targets: give them here, or for all rows of measure {name!r}")
        return row.model_copy(update={"measure": name, "targets": targets})

    def _check_measures(self, items: Sequence[Any]) -> None:
        for name in self._config.measures:
            for split in ("validation", "test"):
                if not any(item.split == split and item.measure == name for item in items if hasattr(item, "measure")):
                    raise InputError(
                        f"measure {name!r} has no dialogue of split {split!r}.",
                        where=", ".join(dict.fromkeys(self.files(DataConfig()).values())),
                        mend="Give some of both splits for every measure, or take the measure out.",
                    )

    def pairs(self, items: Sequence[PairRow]) -> list[ContrastPair]:
        """The pairs as they are."""
        return [
            ContrastPair(row.reference, row.counterfactual, unwanted=row.unwanted, wanted=row.wanted, group=row.group)
            for row in items
        ]

    def shown_in(self, reply: str) -> None:
        """Nothing tells: the rules are for the replies to evaluation dialogues."""
        return

    def explanations(self, items: Sequence[Any], writer: Replier | None) -> list[Explanation]:
        """None are called for: the training dialogues are given whole."""
        raise InputError(
            "the training dialogues of a behaviour of your own are given whole.",
            where="tune.explanations",
            mend="Leave it out, and write what a reply is to say into the file of training dialogues.",
        )

    def wrong_answers(self, items: Sequence[Any], writer: Replier | None) -> list[WrongAnswer]:
        """None are called for: the training dialogues are given whole."""
        raise InputError(
            "the training dialogues of a behaviour of your own are given whole.",
            where="tune.wrong_answers",
            mend="Leave it out, and write what was wrongly said into the file of training dialogues.",
        )

    def rows(self, items: Sequence[TrainRow], seed: int, explained: Mapping[str, str] = NOTHING) -> list[TrainingRow]:
        """The training dialogues, shuffled by the seed."""
        rows = [TrainingRow(prompt=row.prompt, completion=row.completion) for row in items]
        random.Random(seed).shuffle(rows)
        return rows

    def neutral(self, items: Sequence[Any]) -> list[Dialogue]:
        """None can be made: what is neutral to a user's behaviour, the user has to say."""
        raise InputError(
            "this behaviour has no neutral dialogues to hold a model to.",
            where="data.neutral, tune.anchor",
            mend="Name a file of them under `neutral` in the behaviour's file, and leave tune.anchor at 0.",
        )

    def preferences(
        self,
        items: Sequence[TrainRow],
        seed: int,
        explained: Mapping[str, str] = NOTHING,
        *,
        provoked_only: bool = False,
    ) -> list[PreferenceRow]:
        """The training dialogues that bring a rejected reply."""
        rows = [
            PreferenceRow(prompt=row.prompt, chosen=row.completion, rejected=row.rejected)
            for row in items
            if row.rejected is not None
        ]
        random.Random(seed).shuffle(rows)
        return rows

    def own_rows(self, items: Sequence[Any], chat: Chat, seed: int) -> list[TrainingRow]:
        """None can be made: see `unable`."""
        raise InputError(
            "a model's own replies tell nothing about this behaviour.",
            where="pinpoint_own",
            mend="Leave it out of compare.methods.",
        )

    def unable(self, items: Sequence[TrainRow]) -> dict[str, str]:
        """Methods that need replies of both kinds, words against the behaviour, or more neutral dialogues."""
        lacking = {
            "pinpoint_own": "a model's own replies tell nothing about this behaviour",
            "pinpoint_anchored": "there are no neutral dialogues beside those that the model is measured on",
        }
        if not self.system_prompt:
            lacking["system_prompt"] = "the behaviour's file has no system_prompt"
        if not any(row.rejected is not None for row in items):
            reason = "the training dialogues have no rejected replies"
            lacking |= dict.fromkeys(("pinpoint_dpo", "caa", "iti", "few_shot"), reason)
        return lacking

    # How it is measured.

    def play(
        self,
        chat: Replier,
        items: Sequence[EvaluationRow],
        base: Played | None,
        advance: Callable[[], None],
        judge: Judge | None = None,
    ) -> dict[str, list[Replied]]:
        """One reply to each dialogue, by the rules of its file."""
        played = self._replies(chat, items)
        advance()
        return {"replies": played}

    def _replies(self, chat: Replier, items: Sequence[EvaluationRow]) -> list[Replied]:
        replied = []
        for item, reply in zip(items, chat.replies([item.prompt for item in items]), strict=True):
            settings: MeasureSettings = self._config.measures[item.measure]
            said = chat.said(item.prompt) or Said(reply)
            passed = holds(settings.rule, reply, item.targets, item.prompt, chat.tokenizer) != settings.negate
            replied.append(
                Replied(
                    id=item.id,
                    group=item.group,
                    measure=item.measure,
                    prompt=item.prompt,
                    reply=reply,
                    passed=passed,
                    thought=said.thought,
                    unclosed=int(not said.closed),
                )
            )
        return replied

    def restore(self, part: str, rows: Sequence[dict[str, Any]]) -> list[Replied]:
        """Replies."""
        return [Replied.model_validate(row) for row in rows]

    def outcomes(self, played: Played) -> dict[str, Outcomes]:
        """Which replies passed."""
        return self._by_measure(played["replies"])

    def _by_measure(self, replies: Sequence[Replied]) -> dict[str, Outcomes]:
        found = {}
        for name in self._config.measures:
            some = [one for one in replies if one.measure == name]
            found[name] = Outcomes([one.passed for one in some], [one.group for one in some])
        return found

    def metrics(self, played: Played, config: EvaluateConfig, seed: int) -> dict[str, Estimate]:
        """The share of replies that pass."""
        return {
            name: share(list(map(float, one.holds)), one.groups, resamples=config.resamples, seed=seed)
            for name, one in self.outcomes(played).items()
        }

    def versus_base(self, tuned: Played, base: Played, config: EvaluateConfig, seed: int) -> dict[str, Estimate]:
        """Tuned minus base, dialogue by dialogue."""
        before = self.outcomes(base)
        return {
            name: difference(
                list(map(float, one.holds)),
                list(map(float, before[name].holds)),
                one.groups,
                resamples=config.resamples,
                seed=seed,
            )
            for name, one in self.outcomes(tuned).items()
        }

    def check(self, chat: Chat, items: Sequence[EvaluationRow]) -> dict[str, Outcomes]:
        """Which replies pass, by measure."""
        found = self._by_measure(self._replies(chat, items))
        for name, one in found.items():
            if not one.holds:
                raise InputError(
                    f"of {len(items)} validation dialogues drawn, none is of measure {name!r}.",
                    where="tune.check_items",
                    mend="Raise it, or give more dialogues of that measure.",
                )
        return found

    def targets(self, tune: TuneConfig) -> dict[str, float]:
        """The goals of the measures that have one."""
        return {name: one.goal for name, one in self._config.measures.items() if one.goal}

    def knocked_out(self, chat: Chat, items: Sequence[EvaluationRow]) -> dict[str, Outcomes]:
        """Which replies pass."""
        return self._by_measure(self._replies(chat, items))

    def examples(self, results: Mapping[str, Played]) -> list[dict[str, Any]]:
        """The first dialogues of different groups on which the base did not pass the first measure."""
        replies = {name: {one.id: one for one in played["replies"]} for name, played in results.items()}
        chosen: dict[str, Replied] = {}
        for one in results["base"]["replies"]:
            if one.measure == self.matched[0] and not one.passed:
                chosen.setdefault(one.group, one)
        return [
            {
                "prompt": one.prompt,
                "methods": {
                    name: {"reply": found[one.id].reply, "passed": found[one.id].passed}
                    for name, found in replies.items()
                },
            }
            for one in list(chosen.values())[:EXAMPLES]
        ]
