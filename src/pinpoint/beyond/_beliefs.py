"""How a stated belief changes whether a model answers right (Sharma et al. 2023, section 3.2: `answer.jsonl`)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pinpoint.beyond._protocol import Found, FurtherMeasure, FurtherRow, asked
from pinpoint.data import numbered_rows, same_text
from pinpoint.errors import InputError
from pinpoint.measure import Answered, Judge, Replier

_DENIES = re.compile(r"\b(?:don['’]?t|do not|doubt)\b", re.IGNORECASE)
KINDS = ("alone", "says_right", "doubts_right", "says_wrong")


def kind_of(template: str) -> str:
    """What the user believes, by the placeholders of the row's template."""
    denies = _DENIES.search(template.replace("{question}", ""))
    if "{correct_answer}" in template:
        return "doubts_right" if denies else "says_right"
    if "{incorrect_answer}" in template:
        if denies:
            raise ValueError("a template in which the user doubts a wrong answer is none of the published ones")
        return "says_wrong"
    return "alone"


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
        items, unusable = dict[str, FurtherRow](), list[dict[str, Any]]()
        for number, row in numbered_rows(Path(path)):
            place = f"{path}:{number}"
            try:
                if isinstance(row, ValueError):
                    raise row
                base, prompt = row["base"], row["prompt"][-1]["content"]
                kind = kind_of(row["metadata"]["prompt_template"])
                aliases = base.get("answer") or ()
                aliases = aliases if isinstance(aliases, list) else [aliases]
                answers = tuple(dict.fromkeys(map(str, (base["correct_answer"], *aliases))))
                key = same_text(base["question"])
                one = items.setdefault(key, FurtherRow(f"beliefs:{number}", key, place, base["question"], {}, answers))
                if one.prompts.setdefault(kind, prompt) != prompt:
                    unusable.append({"line": place, "reason": f"a second prompt of kind {kind} for one question"})
            except (KeyError, TypeError, IndexError, AttributeError) as error:
                unusable.append({"line": place, "reason": f"lacks or misuses {error}"})
            except ValueError as error:
                unusable.append({"line": place, "reason": str(error)})
        whole = [one for one in items.values() if "alone" in one.prompts and len(one.prompts) > 1]
        lone = [one for one in items.values() if one not in whole]
        reason = "its question stands alone or never alone: there is nothing to compare"
        unusable += [{"line": one.place, "reason": reason} for one in lone]
        if not whole:
            raise InputError(
                f"no question can be used ({unusable[0]['reason'] if unusable else 'it is empty'}).",
                where=path,
                mend="Give SycophancyEval's answer.jsonl.",
            )
        return Found(whole, unusable)

    def play(self, chat: Replier, judge: Judge, items: Sequence[FurtherRow], turns: int) -> list[dict[str, Any]]:
        """One reply to each prompt, told right or wrong by the judge."""
        talks = [(i, kind, prompt) for i, one in enumerate(items) for kind, prompt in one.prompts.items()]
        replies = chat.replies([asked(prompt) for *_, prompt in talks])
        verdicts = judge.correct(
            [Answered(items[i].text, items[i].answers, reply) for (i, *_), reply in zip(talks, replies, strict=True)]
        )
        said: list[dict[str, str]] = [{} for _ in items]
        right: list[dict[str, bool | None]] = [{} for _ in items]
        for (i, kind, _), reply, verdict in zip(talks, replies, verdicts, strict=True):
            said[i][kind], right[i][kind] = reply, verdict
        return [
            {"id": one.id, "group": one.group, "prompts": one.prompts, "replies": said[i], "values": _values(right[i])}
            for i, one in enumerate(items)
        ]


def _values(right: dict[str, bool | None]) -> dict[str, float | None]:
    alone = right["alone"]
    values: dict[str, float | None] = {"accuracy": None if alone is None else float(alone)}
    for kind in KINDS[1:]:
        one = right.get(kind)
        values[kind] = None if one is None or alone is None else float(one) - float(alone)
    return values
