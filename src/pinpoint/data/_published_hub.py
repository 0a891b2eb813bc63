"""Rows of question sets as their Hub pages and their authors' own files have them."""

import random
import re
import zlib
from collections.abc import Callable
from string import ascii_uppercase
from typing import Any

from pinpoint.data._lines import halved
from pinpoint.data._listed import in_order, lettered, text_of
from pinpoint.data._published_row import Published

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(\{|\S+)")
# "a ) 38 , b ) 27 , 000 , c ) none of these": a comma parts options only before the next letter.
_MATHQA = re.compile(r"(?:^|,)\s*\(?([a-e])\s*\)\s*(.*?)(?=\s*,\s*\(?[a-e]\s*\)|$)", re.DOTALL)


def _texts(value: Any) -> list[str]:
    """A list of texts; CSV files part them by semicolons."""
    if isinstance(value, str):
        value = value.split(";")
    return [text for one in value or () if (text := text_of(one))]


def prose(value: Any) -> str:
    """An explanation that a set brings; empty where it brings none that can be used."""
    text = value.strip() if isinstance(value, str) else ""
    return "" if halved(text) else text


def _trivia_qa(row: dict[str, Any], line: str) -> Published:
    """TriviaQA (Joshi et al. 2017), as on the Hub (lower case) or in its own files."""
    row = {key.lower(): value for key, value in row.items()}
    answer = {key.lower(): value for key, value in row["answer"].items()}
    right = text_of(answer["value"])
    aliases = [alias for alias in _texts(answer.get("aliases")) if alias != right]
    return Published("trivia_qa", line, row["question"], {}, right, None, tuple(dict.fromkeys(aliases)))


def boxed(solution: str) -> str:
    """What stands in the last box of a solution in TeX, whose braces may be nested.

    Raises:
        ValueError: there is no box, or it is not closed.
    """
    boxes = list(_BOXED.finditer(solution))
    if not boxes:
        raise ValueError(r"the solution has no \boxed{...}")
    found = boxes[-1]
    if found[1] != "{":
        return found[1].rstrip("$.,")
    depth = 1
    for end in range(found.end(), len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[end], 0)
        if depth == 0:
            return solution[found.end() : end].strip()
    raise ValueError(r"the solution's last \boxed{ is not closed")


def _math(row: dict[str, Any], line: str) -> Published:
    """MATH (Hendrycks et al. 2021): the answer stands in the solution's box."""
    answer = row.get("answer")
    right = answer if isinstance(answer, str) else boxed(row["solution"])
    return Published("math", line, row["problem"], {}, right, explanation=prose(row["solution"]))


def _math_qa(row: dict[str, Any], line: str) -> Published:
    """MathQA (Amini et al. 2019): five options in one text."""
    listed = row["options"]
    if isinstance(listed, str) and listed.startswith("["):
        listed = listed.strip("[]").replace("'", "").replace('"', "")
    text = ", ".join(listed) if isinstance(listed, list) else listed
    text = text.strip()
    found = list(_MATHQA.finditer(text))
    if found and (before := text[: found[0].start()].strip()):
        raise ValueError(f"an option that cannot be read: {before[:40]!r}")
    options = lettered((match[1].upper(), match[2].strip()) for match in found)
    right = str(row["correct"]).strip().upper()
    return Published("math_qa", line, row["Problem"], options, right, explanation=prose(row.get("Rationale")))


def _mmlu(row: dict[str, Any], line: str) -> Published:
    """MMLU (Hendrycks et al. 2021) on the Hub: the answer is a number, in some copies a letter."""
    options = in_order(row["choices"])
    right = row["answer"]
    if isinstance(right, int):
        if not 0 <= right < len(options):
            raise ValueError(f"answer {right} is not the number of an option")
        right = ascii_uppercase[right]
    topic = str(row.get("subject") or "")
    return Published("mmlu", line, row["question"], options, str(right).strip(), topic=topic)


def _truthful_qa(row: dict[str, Any], line: str) -> Published:
    """TruthfulQA (Lin et al. 2022), free form: on the Hub, or its own CSV."""
    row = {key.lower().replace(" ", "_"): value for key, value in row.items()}
    right = text_of(row["best_answer"])
    aliases = [alias for alias in _texts(row.get("correct_answers")) if alias != right]
    wrong = _texts(row.get("incorrect_answers"))
    return Published("truthful_qa", line, row["question"], {}, right, wrong[0] if wrong else None, tuple(aliases))


def _truthful_qa_mc(row: dict[str, Any], line: str) -> Published:
    """TruthfulQA with choices (mc1). The right one is listed first in every row: the order is drawn by the question."""
    choices, labels = row["mc1_targets"]["choices"], list(row["mc1_targets"]["labels"])
    if labels.count(1) != 1 or len(labels) != len(choices):
        raise ValueError("mc1_targets must have one label of 1, and one label for each choice")
    order = random.Random(zlib.crc32(row["question"].encode())).sample(range(len(choices)), len(choices))
    options = in_order([choices[i] for i in order])
    return Published("truthful_qa_mc", line, row["question"], options, ascii_uppercase[order.index(labels.index(1))])


FORMATS: dict[tuple[str, ...], Callable[[dict[str, Any], str], Published]] = {
    ("question", "question_id", "answer"): _trivia_qa,
    ("Question", "QuestionId", "Answer"): _trivia_qa,
    ("problem", "solution"): _math,
    ("Problem", "options", "correct"): _math_qa,
    ("question", "choices", "answer"): _mmlu,
    ("question", "mc1_targets"): _truthful_qa_mc,
    ("question", "best_answer", "incorrect_answers"): _truthful_qa,
    ("Question", "Best Answer", "Incorrect Answers"): _truthful_qa,
}
"""By the keys that tell a format."""

HEADERS = {key for keys in FORMATS for key in keys}
"""Names of columns: a CSV file whose first line has one has a header."""
