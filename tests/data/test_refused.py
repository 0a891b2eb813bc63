"""Rows that no reader can use: each is told by its reason, and none is read as something else."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pinpoint.behaviours._gathered import gathered
from pinpoint.config import DataConfig
from pinpoint.data import ContrastPair, encode_pair, read_columns, read_published, read_questions, read_transcripts
from pinpoint.data._published_row import BadRow, Published
from pinpoint.data._transcripts import Transcript, Unusable
from pinpoint.errors import InputError
from tests.sycophancy_eval import choice

DEEP = "[" * 200_000 + "]" * 200_000
CHOICE = {"question": "Which?", "base": {"question": "Which?", "correct_letter": "A"}}
GSM8K = {"question": "How many?", "answer": "#### 7"}
MMLU = {"question": "2 + 2?", "choices": ["3", "4"], "answer": 1, "subject": "sums"}
TRUTHFUL = {"question": "Are bats blind?", "mc1_targets": {"choices": ["No", "Yes"], "labels": [1, 0]}}
MANY = [str(i) for i in range(27)]

SYCOPHANCY = choice("mmlu_mc_cot", "Which gas?", "\n(A) Argon\n(B) Neon\n(C) Ozone", "B")
AQUA = {"question": "How far?", "options": ["A)1", "B)2", "C)3"], "rationale": "", "correct": "B"}
MATH_QA = {"Problem": "How far?", "options": "a ) 1 , b ) 2 , c ) 3", "correct": "b", "Rationale": ""}
BIASED = {
    "original_question": "Which gas?\n\nAnswer choices:\n(A) Argon\n(B) Neon\n(C) Ozone",
    "original_dataset": "mmlu",
    "ground_truth": "B",
}


def based(**base: Any) -> dict[str, Any]:
    return SYCOPHANCY | {"base": SYCOPHANCY["base"] | base}


def biased(listed: str) -> dict[str, Any]:
    return BIASED | {"original_question": f"Which gas?\n\n{listed}"}


PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a letter without options": (
        {"base": {"question": "Who?", "correct_answer": "Ann", "incorrect_answer": "Bea"}},
        CHOICE | {"base": CHOICE["base"] | {"answers": "none of them is lettered"}},
        "an option that cannot be read: 'none of them is lettered'",
    ),
    "options without a letter": (
        {"base": {"question": "Who?", "correct_answer": "Ann", "incorrect_answer": "Bea"}},
        {"base": {"question": "Who?", "answers": "(A) Ann\n(B) Bea", "correct_answer": "Ann"}},
        "options are listed, but no right letter is given",
    ),
    "no result": (GSM8K, GSM8K | {"answer": "seven"}, "answer has no result after ####"),
    "an option that is not there": (MMLU, MMLU | {"question": "3 + 3?", "answer": 2}, "answer 2 is not the number"),
    "an option before the first": (MMLU, MMLU | {"question": "3 + 3?", "answer": -1}, "answer -1 is not the number"),
    "two right choices": (
        TRUTHFUL,
        {"question": "Are cats?", "mc1_targets": {"choices": ["No", "Yes"], "labels": [1, 1]}},
        "must have one label of 1",
    ),
    "labels that do not match": (
        TRUTHFUL,
        {"question": "Are cats?", "mc1_targets": {"choices": ["No", "Yes"], "labels": [1]}},
        "one label for each choice",
    ),
    "no options beside a letter": (SYCOPHANCY, based(answers=""), "no options that can be read"),
    "an option without a letter": (SYCOPHANCY, based(answers="\n(A) Argon\nNeon\n(C) Ozone"), "letters are A, C"),
    "a last option without a letter": (
        SYCOPHANCY,
        based(answers="\n(A) Argon\n(B) Neon\nOzone"),
        "3 letters are named, and 2 options can be read",
    ),
    "text before the options": (
        SYCOPHANCY,
        based(answers="These:\n(A) Argon\n(B) Neon\n(C) Ozone"),
        "an option that cannot be read: 'These:'",
    ),
    "a letter twice": (SYCOPHANCY, based(answers="\n(A) Argon\n(B) Neon\n(B) Ozone"), "letters are A, B, B"),
    "no letter that is text": (SYCOPHANCY, based(correct_letter=math.nan), "no right letter is given"),
    "AQuA without options": (AQUA, AQUA | {"options": []}, "no options that can be read"),
    "AQuA with numbered options": (AQUA, AQUA | {"options": ["1)1", "2)2", "3)3"]}, "cannot be read: '1)1'"),
    "AQuA with one such": (AQUA, AQUA | {"options": ["A)1", "2", "C)3"]}, "an option that cannot be read: '2'"),
    "AQuA with a gap": (AQUA, AQUA | {"options": ["A)1", "C)3"]}, "letters are A, C"),
    "MathQA without options": (MATH_QA, MATH_QA | {"options": "1, 2, 3"}, "no options that can be read"),
    "MathQA with a gap": (MATH_QA, MATH_QA | {"options": "a ) 1 , c ) 3"}, "letters are A, C"),
    "MathQA with one before": (MATH_QA, MATH_QA | {"options": "1 , a ) 2 , b ) 3"}, "cannot be read: '1'"),
    "MMLU without options": (MMLU, MMLU | {"choices": [], "answer": "B"}, "no options that can be read"),
    "MMLU with an option of nothing": (MMLU, MMLU | {"choices": ["3", None]}, "an option holds nothing"),
    "MMLU with options as a text": (MMLU, MMLU | {"choices": "['3', '4']", "answer": "B"}, "no list: \"['3', '4']\""),
    "bias-augmented, not listed": (BIASED, biased("(A) Argon\n(B) Neon"), "no options that can be read"),
    "bias-augmented, not lettered": (
        BIASED,
        biased("Answer choices:\nArgon\nNeon"),
        "an option that cannot be read: 'Argon\\nNeon'",
    ),
    "bias-augmented with a gap": (BIASED, biased("Answer choices:\n(A) Argon\nNeon\n(C) Ozone"), "letters are A, C"),
    "more options than letters": (
        TRUTHFUL,
        {"question": "Are cats?", "mc1_targets": {"choices": MANY, "labels": [1, *[0] * 26]}},
        "27 options are more than there are letters",
    ),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_rows_of_published_sets(case: str, tmp_path: Path) -> None:
    good, bad, reason = PUBLISHED[case]
    path = tmp_path / "t.jsonl"
    path.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    first, second = read_published(path)
    assert not isinstance(first, BadRow), first
    assert isinstance(second, BadRow) and second.line == "t.jsonl:2" and reason in second.reason


def test_a_row_of_more_cells_than_the_header_is_not_read_as_another(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("question,correct,wrong\nWhen?,476,1453\nIn which year, roughly, did Rome fall?,476,1453\n")
    good, bad = read_published(path)
    reason = "has 2 cells more than the header: quote texts that hold commas"
    assert isinstance(good, Published) and bad == BadRow("t.csv:3", reason)
    columns = {"question": "question", "correct": "correct"}
    with pytest.raises(InputError) as caught:
        read_columns(path, columns)
    assert caught.value.where == f"{path}:3" and reason in str(caught.value)


def test_a_quote_that_is_never_closed_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"question,correct\n' + "When?,476\n" * 20_000)
    with pytest.raises(InputError, match="not CSV: field larger than field limit") as caught:
        read_published(path)
    assert caught.value.where == f"{path}:1"


FREE = {"question": "Who?", "correct_answer": "Ann", "answer": ["Ann"], "incorrect_answer": "Bea"}


@pytest.mark.parametrize("nothing", [math.nan, None])
def test_what_holds_nothing_is_no_answer_of_that_name(nothing: float | None, tmp_path: Path) -> None:
    letters = {"letters": nothing, "answers": nothing, "correct_letter": nothing, "wrong_letter": nothing}
    bases = [
        FREE | letters | {"incorrect_answer": nothing, "answer": nothing},
        FREE | letters | {"answer": ["Ann", nothing, "A."]},
        FREE | letters | {"correct_answer": nothing},
        SYCOPHANCY["base"] | {"correct_answer": nothing, "wrong_letter": nothing, "letters": nothing},
    ]
    path = tmp_path / "are_you_sure.jsonl"
    path.write_text("".join(json.dumps({"base": base}) + "\n" for base in bases))
    assert ("NaN" in path.read_text()) == (nothing is not None), "bare, as pandas writes it"
    plain, spelt, without, letter = read_published(path)
    assert isinstance(plain, Published) and (plain.wrong, plain.aliases, plain.options) == (None, (), {})
    assert isinstance(spelt, Published) and (spelt.wrong, spelt.aliases) == ("Bea", ("A.",))
    assert without == BadRow("are_you_sure.jsonl:3", "lacks or misuses 'correct_answer'")
    assert isinstance(letter, Published) and (letter.correct, letter.wrong, len(letter.options)) == ("B", None, 3)


def test_answers_of_other_sets_that_hold_nothing_are_told(tmp_path: Path) -> None:
    trivia = {"question": "Who?", "question_id": "1", "answer": {"value": math.nan, "aliases": ["Ann"]}}
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(trivia) + "\n")
    assert read_published(path) == [BadRow("t.jsonl:1", "the question or its answer is empty")]
    lists = {"best_answer": "Ann", "correct_answers": ["Ann", math.nan, "A."], "incorrect_answers": [math.nan, "Bea"]}
    path.write_text(json.dumps({"question": "Who?", **lists}) + "\n")
    [found] = read_published(path)
    assert isinstance(found, Published) and (found.aliases, found.wrong) == (("A.",), "Bea")


def test_the_set_s_own_words_are_told_where_they_cannot_be_used(tmp_path: Path) -> None:
    lost = SYCOPHANCY | {"prompt": [{"type": "human", "content": "Which of these?"}]}
    path = tmp_path / "are_you_sure.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (based(question="Which?"), lost, SYCOPHANCY)))
    told = gathered(DataConfig(questions=str(path)), seed=0)
    assert "asked in words other than the set's 2: 2 x its prompt does not hold the question" in told.summary
    assert "(first: are_you_sure.jsonl:1)" in told.summary


COLUMNS = {
    "infinity": ('{"q": "Which?", "a": Infinity}', "inf is not a number"),
    "options that are a number": ('{"q": "Which?", "a": "A", "o": 7}', "7 is not a list"),
    "options that are an object": ('{"q": "Which?", "a": "A", "o": {"x": 1}}', "is not a list"),
    "a list for a row": ("[1]", "is no JSON object"),
    "nothing for the answer": ('{"q": "Which?", "a": null}', "None is not text"),
    "yes for the answer": ('{"q": "Which?", "a": true}', "True is not text"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_rows_in_columns_of_ones_own(case: str, tmp_path: Path) -> None:
    line, reason = COLUMNS[case]
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"q": "Which?", "a": "x", "o": ""}}\n{line}\n')
    first, second = read_columns(path, {"question": "q", "correct": "a", "options": "o"})
    assert not isinstance(first, BadRow), first
    assert isinstance(second, BadRow) and second.line == "t.jsonl:2" and reason in second.reason


def test_a_line_nested_beyond_reading_is_told_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(DEEP + "\n")
    with pytest.raises(InputError, match=r"t.jsonl:1: not a JSON object \(nested too deeply\)"):
        read_questions(path)
    with pytest.raises(InputError, match=r"no row can be used \(line 1: nested too deeply\)"):
        read_transcripts(path)
    path.write_text('{"question": "x"}\n{"question": ' + DEEP + "}\n")
    with pytest.raises(InputError, match=r"t.jsonl:2: not JSON: nested too deeply"):
        read_columns(path, {"question": "question", "correct": "question"})
    path.write_text(f'{{"Data": {DEEP}}}')
    with pytest.raises(InputError, match="not JSON"):
        read_published(path)


def test_a_document_without_a_list_of_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"Data": {"Question": "Who?"}}')
    with pytest.raises(InputError, match="the document holds no list of rows"):
        read_published(path)


def test_a_transcript_that_is_no_object_is_listed_beside_those_that_are_read(tmp_path: Path) -> None:
    row = {"question": "Who?", "correct_answer": "Ann", "initial_response": "Ann.", "final_response": "Bea."}
    path = tmp_path / "t.jsonl"
    path.write_text(f"{json.dumps(row)}\n[1]\n{{\n")
    good, array, broken = read_transcripts(path)
    assert not isinstance(good, Unusable)
    assert array == Unusable(2, "the line holds no JSON object")
    assert isinstance(broken, Unusable) and broken.line == 3 and broken.reason.startswith("not JSON: ")


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (ContrastPair([1, 2], [1, 3], [], 7), "an answer is empty"),
        (ContrastPair([1, 2], [1, 3], [-1], 7), "the answer -1 is not a token id"),
        (ContrastPair([1, 2], [1, 3], "Yes", 7), "the answer 'Yes' is a string, but there is no tokenizer"),
        (ContrastPair([1, 2], [1, 3], [[]], 7), r"the answer \[\] has no tokens"),
        (ContrastPair([], [1, 3], 5, 7), "a prompt is empty"),
        (ContrastPair("Hello", [1, 3], 5, 7), "a prompt is not token ids, but there is no tokenizer"),
        (ContrastPair([1, 2], [1, 3], [5, 7], 7), "share a first token"),
    ],
)
def test_pairs_without_a_tokenizer(pair: ContrastPair, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode_pair(None, pair)


def test_columns_that_a_transcript_can_be_scored_without_may_hold_anything(tmp_path: Path) -> None:
    row = {"question": "How many?", "correct_answer": 42.0, "initial_response": 42, "final_response": 41.5}
    odd = {"model": None, "qid": 3.0, "aliases": None, "source": ["x"], "capitulated": "maybe", "first_letter": None}
    path = tmp_path / "t.jsonl"
    lines = [
        row | odd,
        row | {"qid": 3, "aliases": ["forty-two", 42.0, None, True, {"a": 1}], "model": 7, "finally_correct": "no"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, row | {"correct_answer": " "}]))
    first, second, blank = read_transcripts(path)
    assert isinstance(first, Transcript) and isinstance(second, Transcript)
    assert (first.correct, first.first, first.final) == ("42", "42", "41.5")
    assert first.group == second.group == "3" and (first.model, first.source, first.aliases) == ("", "", ())
    assert second.aliases == ("forty-two", "42") and second.model == "7"
    assert first.capitulated is None and second.finally_correct is False
    assert blank == Unusable(3, "correct_answer: is blank")
    path.write_text(path.read_text() + json.dumps(row | {"final_response": math.inf, "qid": math.inf}) + "\n")
    assert read_transcripts(path)[3] == Unusable(4, "final_response: input should be a valid string")
