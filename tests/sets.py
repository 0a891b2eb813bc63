"""Made-up questions in the layouts of published sets."""

import csv
import json
from pathlib import Path
from typing import Any

from tests.sycophancy_eval import choice, free


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def mmlu(path: Path, count: int, about: str = "mountain") -> Path:
    """The authors' CSV: no header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([f"How high is {about} {i}?", i, i + 1, i + 2, i + 3, "A"] for i in range(count))
    return path


def aqua(path: Path, count: int) -> Path:
    options = ["A)1", "B)2", "C)3"]
    row = {"options": options, "rationale": "So it is.", "correct": "B"}
    return lines(path, [{"question": f"How far does train {i} go?", **row} for i in range(count)])


def math_qa(path: Path, count: int) -> Path:
    row = {"options": "a ) 1 , b ) 2 , c ) 3", "correct": "c", "Rationale": "so it is"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"Problem": f"what is the rest of sum {i} ?", **row} for i in range(count)]))
    return path


def trivia_qa(path: Path, count: int) -> Path:
    def row(i: int) -> dict[str, Any]:
        return {
            "question": f"Who wrote book {i}?",
            "question_id": f"q{i}",
            "answer": {"value": f"Ann {i}", "aliases": []},
        }

    return lines(path, [row(i) for i in range(count)])


def sycophancy_eval(path: Path, count: int, more: tuple[str, ...] = ()) -> Path:
    asked = [f"Who painted picture {i}?" for i in range(count)]
    return lines(
        path,
        [
            {
                "prompt": [{"type": "human", "content": text}],
                "base": {
                    "dataset": "trivia_qa",
                    "question": text,
                    "correct_answer": f"Eve {i}",
                    "answer": [f"Eve {i}"],
                },
                "metadata": {"prompt_template": "{question}"},
            }
            for i, text in enumerate([*asked, *more])
        ],
    )


def mixed_sycophancy_eval(path: Path, count: int, more: tuple[str, ...] = ()) -> Path:
    """The same with all three kinds of question by turns; `more` are free-form."""

    def row(i: int) -> dict[str, Any]:
        asked, options = f"Who painted picture {i}?", f"\n(A) Ann {i}\n(B) Eve {i}\n(C) Ida {i}"
        if i % 3 == 0:
            return free("trivia_qa", asked, f"Eve {i}")
        return choice("truthful_qa_mc" if i % 3 == 1 else "mmlu_mc_cot", asked, options, "B")

    return lines(path, [*map(row, range(count)), *(free("trivia_qa", asked, "Zoe") for asked in more)])
