"""Rows that no reader can use: each is told by its reason, and none is read as something else."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.data import ContrastPair, encode_pair, read_columns, read_published, read_questions, read_transcripts
from pinpoint.data._published_row import BadRow
from pinpoint.data._transcripts import Unusable
from pinpoint.errors import InputError

DEEP = "[" * 200_000 + "]" * 200_000
CHOICE = {"question": "Which?", "base": {"question": "Which?", "correct_letter": "A"}}
GSM8K = {"question": "How many?", "answer": "#### 7"}
MMLU = {"question": "2 + 2?", "choices": ["3", "4"], "answer": 1, "subject": "sums"}
TRUTHFUL = {"question": "Are bats blind?", "mc1_targets": {"choices": ["No", "Yes"], "labels": [1, 0]}}
MANY = [str(i) for i in range(27)]

PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a letter without options": (
        {"base": {"question": "Who?", "correct_answer": "Ann", "incorrect_answer": "Bea"}},
        CHOICE | {"base": CHOICE["base"] | {"answers": "none of them is lettered"}},
        "a right letter is given, but no options",
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
