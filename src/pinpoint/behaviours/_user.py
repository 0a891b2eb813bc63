"""A behaviour of the user's, from files: contrast pairs, training dialogues, evaluation dialogues with rules."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pinpoint.behaviours._explanations import Explanation
from pinpoint.behaviours._material import NOTHING, Material, Measure, Outcomes, Played, PreferenceRow, TrainingRow
from pinpoint.behaviours._rules import holds
from pinpoint.behaviours._user_measured import differences, rates, told
from pinpoint.behaviours._user_read import read_items
from pinpoint.behaviours._user_rows import EvaluationRow, PairRow, Replied, TrainRow
from pinpoint.behaviours._wrong_answers import WrongAnswer
from pinpoint.config import (
    DataConfig,
    EvaluateConfig,
    MeasureSettings,
    TuneConfig,
    UserBehaviourConfig,
)
from pinpoint.data import ContrastPair, Dialogue, Said
from pinpoint.errors import InputError
from pinpoint.measure import Chat, Estimate, Judge, Replier

EXAMPLES = 6
_MEANING = "the share of replies that pass its rule"
_TOLD = "the share of replies of which another model says so"
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
        ruled = {name: label for name, label in labels.items() if config.measures[name].rule != "model"}
        self.measures = tuple(
            Measure(
                name,
                labels[name],
                paired=name,
                short=ruled.get(name, ""),
                meaning=one.meaning or (_MEANING if name in ruled else _TOLD),
            )
            for name, one in config.measures.items()
        )
        self.plotted = tuple(ruled)[:2]
        self.tested = dict(ruled)
        self.knocked = dict(ruled)
        self.judged_by_model = tuple(name for name in labels if name not in ruled)
        first, settings = next(iter(config.measures.items()))
        self.matched = (first, settings.goal or _UNMATCHED)

    # What it is made of.

    def files(self, data: DataConfig) -> dict[str, str]:
        """Pairs, training and evaluation dialogues."""
        return self._config.files(data)

    def read(self, data: DataConfig, seed: int) -> Material:
        """Pairs for locating, training dialogues, evaluation dialogues for validation and test."""
        return Material(read_items(self._config))

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
            "a model's own replies say nothing about this behaviour.",
            where="pinpoint_own",
            mend="Leave it out of compare.methods.",
        )

    def unable(self, items: Sequence[TrainRow]) -> dict[str, str]:
        """Methods that need replies of both kinds, words against the behaviour, or more neutral dialogues."""
        lacking = {
            "pinpoint_own": "a model's own replies say nothing about this behaviour",
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
        """One reply to each dialogue, by the rules of its file; a judge that is a model tells what they leave to it."""
        played = told(self._replies(chat, items), self._config.measures, judge)
        advance()
        return {"replies": played}

    def _replies(self, chat: Replier, items: Sequence[EvaluationRow]) -> list[Replied]:
        replied = []
        for item, reply in zip(items, chat.replies([item.prompt for item in items]), strict=True):
            settings: MeasureSettings = self._config.measures[item.measure]
            said = chat.said(item.prompt) or Said(reply)
            passed = None
            if settings.rule != "model":
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
                    cut=int(chat.is_cut(reply)),
                )
            )
        return replied

    def restore(self, part: str, rows: Sequence[dict[str, Any]]) -> list[Replied]:
        """Replies."""
        return [Replied.model_validate(row) for row in rows]

    def outcomes(self, played: Played) -> dict[str, Outcomes]:
        """Which replies passed, by the measures that go by rules."""
        return self._by_measure(played["replies"])

    def _by_measure(self, replies: Sequence[Replied]) -> dict[str, Outcomes]:
        found = {}
        for name in self.tested:
            some = [one for one in replies if one.measure == name]
            found[name] = Outcomes([one.passed is True for one in some], [one.group for one in some])
        return found

    def metrics(self, played: Played, config: EvaluateConfig, seed: int) -> dict[str, Estimate]:
        """The share of replies that pass, of those with a verdict."""
        return rates(self._of_measures(played), config, seed)

    def _of_measures(self, played: Played) -> dict[str, list[Replied]]:
        return {name: [one for one in played["replies"] if one.measure == name] for name in self._config.measures}

    def versus_base(self, tuned: Played, base: Played, config: EvaluateConfig, seed: int) -> dict[str, Estimate]:
        """Tuned minus base, dialogue by dialogue, where both have a verdict."""
        return differences(self._of_measures(tuned), self._of_measures(base), config, seed)

    def check(self, chat: Chat, items: Sequence[EvaluationRow]) -> dict[str, Outcomes]:
        """Which replies pass, by the measures that go by rules."""
        found = self._by_measure(self._replies(chat, self._ruled(items)))
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
        return {name: one.goal for name, one in self._config.measures.items() if one.goal and name in self.tested}

    def _ruled(self, items: Sequence[EvaluationRow]) -> list[EvaluationRow]:
        return [item for item in items if item.measure in self.tested]

    def knocked_out(self, chat: Chat, items: Sequence[EvaluationRow]) -> dict[str, Outcomes]:
        """Which replies pass, by the measures that go by rules."""
        return self._by_measure(self._replies(chat, self._ruled(items)))

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
