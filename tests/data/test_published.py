"""Published sets in one form: their quirks, what is left out and why, splits that share no question."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.data import Question, deal, in_normal_form, neutral_dialogues, read_columns, read_published
from pinpoint.errors import InputError
from pinpoint.measure import alike, is_correct


def syc(**base: Any) -> dict[str, Any]:
    """A row in SycophancyEval's format."""
    return {"prompt": [{"type": "human", "content": "?"}], "base": base, "metadata": {"prompt_template": "{question}"}}


FREE = syc(dataset="trivia_qa", question="Who wrote ‘Emma’?", correct_answer="Austen", answer=["Austen", "Jane Austen"])
OTHER = syc(dataset="trivia_qa", question="Who wrote Ulysses?", correct_answer="Joyce", answer=["Joyce"])
NAMED = syc(dataset="truthful_qa", question="Are bats blind?", correct_answer="No", incorrect_answer="Yes")
AQUA = syc(
    dataset="aqua_mc",
    question="How many?",
    letters="ABCD",
    answers="\n(A)8.75\n(B)9\n(C)8.75\n(D)7",
    correct_letter="C",
    correct_answer="8.75",
)


def write(path: Path, rows: list[Any]) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def dealt(path: Path) -> dict[str, Question]:
    return {question.question: question for question in deal(read_published(path), seed=0).questions}


def test_sycophancy_eval_is_read_with_its_quirks(tmp_path: Path) -> None:
    path = write(tmp_path / "are_you_sure.jsonl", [FREE, OTHER, NAMED, AQUA])
    assert not in_normal_form(path)
    found = dealt(path)
    emma = found["Who wrote ‘Emma’?"]
    assert (emma.kind, emma.correct, emma.aliases) == ("free", "Austen", ("Jane Austen",))
    assert emma.wrong == "Joyce", "another question's answer, where the set names no wrong one"
    assert found["Are bats blind?"].wrong == "Yes"
    choice = found["How many?\n(A) 8.75\n(B) 9\n(C) 8.75\n(D) 7"]
    assert (choice.kind, choice.correct) == ("choice", "C")
    assert choice.wrong in "BD", "(A) has the right text too"


def test_rows_that_cannot_be_used_are_told_with_line_and_reason(tmp_path: Path) -> None:
    bad = [
        FREE,
        "{not json",
        syc(dataset="mmlu", question="?", answers="(A) x\n(B) y", correct_letter="E"),
        syc(dataset="trivia_qa", question="", correct_answer="x"),
        syc(dataset="trivia_qa"),
        FREE,
        syc(dataset="mmlu", question="?", answers="(A) x\n(B) x", correct_letter="A"),
        OTHER,
    ]
    result = deal(read_published(write(tmp_path / "t.jsonl", bad)), seed=0)
    assert len(result.questions) == 2
    reasons = {row.line: row.reason for row in result.unusable}
    assert sorted(reasons) == [f"t.jsonl:{n}" for n in (2, 3, 4, 5, 6, 7)]
    assert "'E' is not among the options" in reasons["t.jsonl:3"]
    assert "empty" in reasons["t.jsonl:4"] and "lacks" in reasons["t.jsonl:5"]
    assert reasons["t.jsonl:6"] == "repeats a question" and "same text" in reasons["t.jsonl:7"]
    assert "left out 6: " in result.summary() and "first: t.jsonl:" in result.summary()


def test_a_lone_free_question_has_no_wrong_answer(tmp_path: Path) -> None:
    result = deal(read_published(write(tmp_path / "t.jsonl", [FREE])), seed=0)
    assert [row.reason for row in result.unusable] == ["has no wrong answer"]


def test_splits_are_those_of_the_seed_and_share_no_question(tmp_path: Path) -> None:
    rows = [syc(dataset="trivia_qa", question=f"Question {i // 2}?", correct_answer=str(i)) for i in range(200)]
    path = write(tmp_path / "t.jsonl", rows)
    first, again, other = (deal(read_published(path), seed=seed).questions for seed in (0, 0, 1))
    assert first == again != other
    groups: dict[str, set[str]] = {}
    for question in first:
        groups.setdefault(question.split, set()).add(question.group)
    assert set(groups) == {"locate", "train", "validation", "test"}
    assert sum(map(len, groups.values())) == len(set().union(*groups.values()))


def test_mmlu_aqua_gsm8k_by_file_and_by_folder(tmp_path: Path) -> None:
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "mmlu" / "a_test.csv").write_text('"Two, or three?",2,3,4,5,A\nbroken,row\n', encoding="utf-8")
    aqua = {"question": "How far?", "options": ["A)1", "B)2"], "rationale": "...", "correct": "B"}
    gsm = {"question": "How many clips?", "answer": "48/2 = 24\n#### 1,072"}
    assert dealt(tmp_path / "mmlu")["Two, or three?\n(A) 2\n(B) 3\n(C) 4\n(D) 5"].correct == "A"
    assert len(deal(read_published(tmp_path / "mmlu"), 0).unusable) == 1
    found = dealt(write(tmp_path / "aqua.json", [aqua]))
    assert found["How far?\n(A) 1\n(B) 2"].wrong == "A"
    rows = [gsm, gsm | {"question": "And now?", "answer": "no result"}, gsm | {"question": "Then?", "answer": "#### 7"}]
    assert dealt(write(tmp_path / "gsm.jsonl", rows))["How many clips?"].correct == "1072"


def test_a_file_of_questions_and_answers_is_read_as_it_is(tmp_path: Path) -> None:
    rows = [
        {"question": "What is the capital of Peru?", "answer": "Lima"},
        {"question": "How many legs has a spider?", "answer": 8},
        {"question": "Who wrote Emma?", "answer": None},
        {"question": "How many clips?", "answer": "48/2 = 24\n#### 24"},
    ]
    path = write(tmp_path / "mine.jsonl", rows)
    assert not in_normal_form(path)
    found = deal(read_published(path), seed=0)
    assert {(one.question, one.kind, one.correct, one.source) for one in found.questions} == {
        ("What is the capital of Peru?", "free", "Lima", "mine"),
        ("How many legs has a spider?", "free", "8", "mine"),
    }
    reasons = {row.line: row.reason for row in found.unusable}
    assert reasons["mine.jsonl:3"] == "None is not text"
    assert "has a result after ####, and that of the file's first row has none" in reasons["mine.jsonl:4"]
    (tmp_path / "mine.csv").write_text("question,answer\nWhat is 2 + 2?,4\nWhat is 2 + 3?,5\n", encoding="utf-8")
    assert {one.correct for one in dealt(tmp_path / "mine.csv").values()} == {"4", "5"}


def test_fields_of_ones_own_have_the_names_of_the_column_map(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "question": "Which is a fruit?", "correct": "pear", "options": ["stone", "pear"], "wrong": "stone"},
        {"question": "Which is a bird?", "correct": "B", "options": "cat|wren", "explanation": "It has feathers."},
    ]
    path = write(tmp_path / "mine.jsonl", rows)
    assert not in_normal_form(path)
    found = dealt(path)
    fruit, bird = found["Which is a fruit?\n(A) stone\n(B) pear"], found["Which is a bird?\n(A) cat\n(B) wren"]
    assert (fruit.kind, fruit.correct, fruit.wrong) == ("choice", "B", "A")
    assert (bird.correct, bird.wrong, bird.explanation) == ("B", "A", "It has feathers.")
    normal = write(tmp_path / "normal.jsonl", [{"question": "?", "correct": "a", "wrong": "b", "kind": "free"}])
    assert in_normal_form(normal), "one that lacks its split is told so"


def test_columns_of_other_names_are_an_error_that_says_where_they_go(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("Q,A\nWhat is 2 + 2?,4\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"no known format has the keys A, Q\. .* go under data\.columns"):
        read_published(tmp_path / "mine.csv")


def test_a_format_that_is_not_known_is_one_error_that_names_the_known(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{"prompt": "?", "completion": "!"}])
    with pytest.raises(InputError, match=r"t.jsonl:1: no known format has the keys completion, prompt\. Known are"):
        read_published(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="the folder has no CSV, JSON, JSONL or Parquet file"):
        read_published(tmp_path / "empty")


def test_neutral_dialogues_challenge_nothing(tmp_path: Path) -> None:
    questions = deal(read_published(write(tmp_path / "t.jsonl", [FREE, OTHER])), 0).questions
    made = neutral_dialogues(questions, "I do think that's right.")
    assert [len(dialogue.messages) for dialogue in made] == [2, 4]
    assert all(dialogue.messages[-1]["role"] == "assistant" for dialogue in made)


@pytest.mark.parametrize(
    ("name", "questions"),
    [
        ("are_you_sure/mmlu_are_you_sure.jsonl", 640),
        ("are_you_sure/truthfulqa_are_you_sure.jsonl", 504),
        ("aqua/test.json", 254),
        ("gsm8k/test.jsonl", 1319),
        ("mmlu/test", 13_937),
    ],
)
def test_real_sets_are_read_whole(test_data: Path, name: str, questions: int) -> None:
    result = deal(read_published(test_data / name), seed=0)
    assert len(result.questions) == questions
    assert {row.reason for row in result.unusable} <= {"repeats a question"}


def test_a_wrong_answer_is_none_of_the_right_ones(tmp_path: Path) -> None:
    rows = [
        {"question": "Capital of Norway?", "correct": "Oslo", "wrong": "oslo."},
        {"question": "Capital of Peru?", "correct": "Lima", "wrong": "the town", "aliases": ["The Town"]},
        {"question": "Which genes?", "options": ["Bb", "BB"], "correct": "A"},
    ]
    norway, peru, genes = deal(read_published(write(tmp_path / "t.jsonl", rows)), 0).questions
    assert (norway.wrong, norway.dealt, peru.wrong, peru.dealt) == ("Lima", True, "Oslo", True)
    assert genes.wrong == "B", "case tells genes apart"


def test_an_answer_that_could_be_taken_for_the_right_one_is_not_dealt(tmp_path: Path) -> None:
    rows = [
        {"question": f"Question {i}?", "correct": one} for i, one in enumerate(("New York City", "New York", "Lima"))
    ]
    path = write(tmp_path / "t.jsonl", rows)
    for seed in range(8):
        city, state, peru = deal(read_published(path), seed, alike=alike).questions
        assert city.wrong == state.wrong == "Lima" and peru.wrong.startswith("New York")
        assert not is_correct(city, city.state(city.wrong)) and is_correct(city, city.state(city.correct))


def test_a_wrong_answer_that_differs_in_its_signs_is_kept(tmp_path: Path) -> None:
    pairs = [("\u2265", "\u2264"), ("\u221a2", "2"), ("5!", "5"), ("\U0001f34e", "\U0001f34a")]
    rows = [f"Which is number {i}?,{right},{wrong}\n" for i, (right, wrong) in enumerate(pairs)]
    path = tmp_path / "signs.csv"
    path.write_text("q,a,w\n" + "".join(rows) + "Which else?,Lima,lima.\n", encoding="utf-8")
    found = read_columns(path, {"question": "q", "correct": "a", "wrong": "w"})
    dealt = {one.correct: one.wrong for one in deal(found, 0).questions}
    assert dealt.pop("Lima") in {right for right, _ in pairs} and dealt == dict(pairs)
