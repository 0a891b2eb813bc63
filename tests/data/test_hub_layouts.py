"""Question sets as the Hub and their authors have them; rows of our own in those layouts."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.data import deal, in_normal_form, read_published
from pinpoint.data._published_hub import boxed
from pinpoint.data._published_row import BadRow, Published
from pinpoint.errors import InputError

TRIVIA = {
    "question": "Who wrote ‘Emma’?",
    "question_id": "tc_1",
    "question_source": "http://x",
    "entity_pages": {"title": []},
    "search_results": {},
    "answer": {"aliases": ["Austen", "Jane Austen", "J. Austen"], "normalized_value": "austen", "value": "Austen"},
}
TRIVIA_OWN: dict[str, Any] = {
    "Question": "Who wrote Ulysses?",
    "QuestionId": "x",
    "Answer": {"Aliases": ["J. Joyce"], "Value": "Joyce"},
}
MATH = {"problem": "Halve $1$.", "level": "Level 1", "type": "Algebra", "solution": r"So $\boxed{\frac{1}{2}}$."}
MATH_500 = {"problem": "Double 2.", "solution": "4", "answer": "4", "subject": "Algebra"}
MATH_QA = {
    "Problem": "what is 3000 times 9 ?",
    "Rationale": "...",
    "options": "a ) 38 , b ) 27 , 000 , c ) rs . 400 , d ) none of these , e ) 2 / 3",
    "correct": "b",
}
MMLU = {"question": "2 + 2?", "subject": "abstract_algebra", "choices": ["3", "4", "5", "6"], "answer": 1}
TRUTHFUL = {
    "type": "Adversarial",
    "question": "Are bats blind?",
    "best_answer": "No, bats can see",
    "correct_answers": ["No", "No, bats can see"],
    "incorrect_answers": ["Yes, bats are blind", "Only by day"],
    "source": "http://x",
}
TRUTHFUL_MC = {
    "question": "Are bats blind?",
    "mc1_targets": {"choices": ["No", "Yes", "By day"], "labels": [1, 0, 0]},
    "mc2_targets": {"choices": ["No"], "labels": [1]},
}


def rows_of(path: Path, rows: list[Any]) -> list[Published | BadRow]:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert not in_normal_form(path)
    return read_published(path)


def only(path: Path, row: dict[str, Any]) -> Published:
    [found] = rows_of(path / "t.jsonl", [row])
    assert isinstance(found, Published), found
    return found


@pytest.mark.parametrize(
    ("row", "explanation"),
    [
        (MATH, MATH["solution"]),
        (MATH_500, "4"),
        (MATH_QA | {"Rationale": " 27,000 is 3000 * 9. "}, "27,000 is 3000 * 9."),
        (MATH_QA | {"Rationale": None}, ""),
        ({"question": "2 + 2?", "options": ["A)3", "B)4"], "rationale": "It is 4.", "correct": "B"}, "It is 4."),
        ({"question": "2 + 2?", "options": ["A)3", "B)4"], "rationale": "It is \ud800.", "correct": "B"}, ""),
        ({"question": "Two and one?", "answer": "She has 2+1=<<2+1=3>>3.\n#### 3"}, "She has 2+1=3."),
        (TRIVIA, ""),
        (MMLU, ""),
    ],
)
def test_rationales_come_along_as_explanations(row: dict[str, Any], explanation: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(row))
    found = read_published(path)
    assert [one.explanation for one in found if isinstance(one, Published)] == [explanation]
    assert [question.explanation for question in deal(found, 0).questions] in ([explanation], [])


def test_trivia_qa_keeps_its_aliases(tmp_path: Path) -> None:
    found = only(tmp_path, TRIVIA)
    assert (found.source, found.correct, found.aliases) == ("trivia_qa", "Austen", ("Jane Austen", "J. Austen"))
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"Data": [TRIVIA_OWN], "Domain": "Web"}, indent=1))
    [own] = read_published(path)
    assert (own.correct, own.aliases) == ("Joyce", ("J. Joyce",))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"so \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{1}, no: \fbox{ 2 }", "2"),
        (r"\boxed 7$", "7"),
        (r"\boxed{\text{a \{b\} c}}", r"\text{a \{b\} c}"),
    ],
)
def test_maths_answers_stand_in_the_last_box(solution: str, answer: str) -> None:
    assert boxed(solution) == answer


def test_math_with_and_without_an_answer_of_its_own(tmp_path: Path) -> None:
    assert only(tmp_path, MATH).correct == r"\frac{1}{2}"
    assert only(tmp_path, MATH_500).correct == "4"
    bad = rows_of(tmp_path / "b.jsonl", [MATH, MATH | {"solution": "none"}, MATH | {"solution": r"\boxed{1"}])
    assert [row.reason for row in bad if isinstance(row, BadRow)] == [
        r"the solution has no \boxed{...}",
        r"the solution's last \boxed{ is not closed",
    ]


def test_math_qa_parts_its_options_at_letters_alone(tmp_path: Path) -> None:
    found = only(tmp_path, MATH_QA)
    assert found.options == {"A": "38", "B": "27 , 000", "C": "rs . 400", "D": "none of these", "E": "2 / 3"}
    assert found.correct == "B"
    path = tmp_path / "train.json"
    path.write_text(json.dumps([MATH_QA], indent=2))
    assert not in_normal_form(path)
    assert read_published(path)[0].options == found.options  # type: ignore[union-attr]


def test_mmlu_counts_from_0_or_gives_a_letter(tmp_path: Path) -> None:
    assert only(tmp_path, MMLU).correct == "B"
    assert only(tmp_path, MMLU | {"answer": "C"}).correct == "C"
    assert isinstance(rows_of(tmp_path / "b.jsonl", [MMLU | {"answer": 4}])[0], BadRow)


def test_truthful_qa_free_and_with_choices_whose_order_is_drawn(tmp_path: Path) -> None:
    free = only(tmp_path, TRUTHFUL)
    assert (free.correct, free.aliases, free.wrong) == ("No, bats can see", ("No",), "Yes, bats are blind")
    rows = [TRUTHFUL_MC | {"question": f"Is animal {i} blind?"} for i in range(40)]
    found = [row for row in rows_of(tmp_path / "mc.jsonl", rows) if isinstance(row, Published)]
    assert all(row.options[row.correct] == "No" for row in found) and len(found) == 40
    assert {row.correct for row in found} == set("ABC"), "in the file the right one is always the first"
    path = tmp_path / "TruthfulQA.csv"
    head = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
    path.write_text(head + 'A,B,"Are bats blind, too?",No,"No; Not at all","Yes; Sure",x\n', encoding="utf-8")
    [own] = read_published(path)
    assert (own.question, own.aliases, own.wrong) == ("Are bats blind, too?", ("Not at all",), "Yes")  # type: ignore[union-attr]


def test_parquet_as_on_the_hub(tmp_path: Path) -> None:
    from pyarrow import Table
    from pyarrow.parquet import write_table

    path = tmp_path / "validation.parquet"
    write_table(Table.from_pylist([MMLU, MMLU | {"question": "3 + 3?", "answer": 3}]), path)
    assert not in_normal_form(path)
    assert [question.correct for question in deal(read_published(path), 0).questions] == ["B", "D"]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"bad\.parquet: not Parquet"):
        read_published(tmp_path / "bad.parquet")


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,1,2,3,4,A\n")
    (tmp_path / "b.jsonl").write_text(json.dumps(TRIVIA))
    with pytest.raises(InputError, match=r"files of several kinds \(\.csv, \.jsonl\)\. Give one file"):
        read_published(tmp_path)
