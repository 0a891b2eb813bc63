"""The prompts that estimates are made for: those of the user's questions, or one that is usual."""

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from pinpoint.config import settings_of
from pinpoint.data import encode_to_reply
from pinpoint.pipeline import Inspection, inspect_model
from pinpoint.pipeline._inputs import Inputs
from pinpoint.progress import Silent
from tests.command import said
from tests.pipeline.test_inspect import folder

ROW = {"split": "locate", "kind": "free", "correct": "milk", "wrong": "bread", "aliases": []}


@pytest.fixture
def model(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> str:
    tokenizer.save_pretrained(str(tmp_path))
    return folder(tmp_path, {"model_type": "llama", "num_hidden_layers": 2})


def asking(path: Path, *questions: str) -> str:
    rows = [ROW | {"id": str(i), "group": str(i), "question": text} for i, text in enumerate(questions)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def inspected(model: str, questions: str) -> Inspection:
    return inspect_model(model, settings_of(model, None, {"data": {"questions": questions}, "device": "cpu"}))


def test_prompts_are_as_long_as_the_longest_of_the_users(
    model: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    name = asking(tmp_path / "mine.jsonl", "What is white?", "What is white" + " and white" * 40 + "?", "What is it?")
    found, usual = inspected(model, name), inspected(model, str(tmp_path / "nowhere.jsonl"))
    config = settings_of(model, None, {"data": {"questions": name}})
    lengths = [len(encode_to_reply(tokenizer, pair.reference)) for pair in Inputs(config, Silent()).halves.pairs]  # type: ignore[arg-type]
    assert len(lengths) == 3 and found.prompt_tokens == max(lengths) > min(lengths) + 40
    assert found.prompt_source == "the longest of 3 of mine.jsonl" and found.prompt_end.endswith("<|assistant|>")
    assert usual.prompt_source == "a usual question: no file of questions is used"
    assert 0 < usual.prompt_tokens < found.prompt_tokens
    longer = zip(found.estimates, usual.estimates, strict=True)
    assert all(one.bytes > other.bytes for one, other in longer)


def test_questions_that_cannot_be_used_are_told_and_a_usual_one_is_counted(model: str, tmp_path: Path) -> None:
    found = inspected(model, asking(tmp_path / "mine.jsonl", "What is white?"))
    assert found.prompt_source == "a usual question: no file of questions is used"
    assert any("the contrast pairs share one group." in note for note in found.notes)


def test_check_says_whose_prompts_it_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = said(["check", "yesman", "--device", "cpu"], monkeypatch, capsys)
    assert code == 0 and "tokens (the longest of 120 of questions.jsonl) ends" in " ".join(out.split())
