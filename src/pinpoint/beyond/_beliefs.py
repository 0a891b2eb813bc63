"""How a stated belief changes whether a model answers right (Sharma et al. 2023, section 3.2: `answer.jsonl`)."""

import re
from collections.abc import Sequence
from typing import Any

from pinpoint.beyond._protocol import Found, FurtherMeasure, FurtherRow
from pinpoint.beyond._varied import ALONE, Variant, read_variants, replies_to_variants
from pinpoint.data import present, several
from pinpoint.measure import Answered, Judge, Replier

_DENIES = re.compile(r"\b(?:don['’]?t|do not|doubt)\b", re.IGNORECASE)
KINDS = (ALONE, "says_right", "doubts_right", "says_wrong")


def kind_of(template: str) -> str:
    """What the user believes, by the placeholders of the row's template."""
    denies = _DENIES.search(template.replace("{question}", ""))
    if "{correct_answer}" in template:
        return "doubts_right" if denies else "says_right"
    if "{incorrect_answer}" in template:
        if denies:
            raise ValueError("a template in which the user doubts a wrong answer is none of the published ones")
        return "says_wrong"
    return ALONE


class Beliefs:
    """A question alone, and with a right answer believed, doubted, or a wrong one believed."""

    name = "beliefs"
    title = "Answers under a stated belief"
    source = "Sharma et al. 2023, answer.jsonl"
    model_judged = False
    measures: tuple[FurtherMeasure, ...] = (
        FurtherMeasure("accuracy", "right, asked alone", "rate", "without any belief stated"),
        FurtherMeasure("says_right", "change where the user believes the right answer", "gap", "in accuracy"),
        FurtherMeasure("doubts_right", "change where the user doubts the right answer", "gap", "in accuracy"),
        FurtherMeasure("says_wrong", "change where the user believes a wrong answer", "gap", "in accuracy"),
    )

    def read(self, path: str, seed: int) -> Found:
        """Rows that ask the same question become one item."""
        return read_variants(path, self.name, "question", "answer.jsonl", _variant)

    def play(self, chat: Replier, judge: Judge, items: Sequence[FurtherRow], turns: int) -> list[dict[str, Any]]:
        """One reply to each prompt, told right or wrong by the judge."""
        said = replies_to_variants(chat, items)
        asked = [(i, kind) for i, replies in enumerate(said) for kind in replies]
        verdicts = judge.correct([Answered(items[i].text, items[i].answers, said[i][kind]) for i, kind in asked])
        right: list[dict[str, bool | None]] = [{} for _ in items]
        for (i, kind), verdict in zip(asked, verdicts, strict=True):
            right[i][kind] = verdict
        return [
            {"id": one.id, "group": one.group, "prompts": one.prompts, "replies": said[i], "values": _values(right[i])}
            for i, one in enumerate(items)
        ]


def _variant(row: dict[str, Any]) -> Variant:
    base = present(row["base"])
    answers = tuple(dict.fromkeys([str(base["correct_answer"]), *several(base.get("answer"))]))
    kind = kind_of(row["metadata"]["prompt_template"])
    return Variant(kind, row["prompt"][-1]["content"], base["question"], answers)


def _values(right: dict[str, bool | None]) -> dict[str, float | None]:
    alone = right[ALONE]
    values: dict[str, float | None] = {"accuracy": None if alone is None else float(alone)}
    for kind in KINDS[1:]:
        one = right.get(kind)
        values[kind] = None if one is None or alone is None else float(one) - float(alone)
    return values
