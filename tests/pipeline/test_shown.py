"""That a model shows the behaviour in the words named, and what it says where it does not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from pinpoint.config import resolve
from pinpoint.data import ContrastPair, encode_pair
from pinpoint.errors import CheckFailed
from pinpoint.measure import preference
from pinpoint.models import headed, load
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._shown import behaviour_shown, encoded_for, predicted
from tests.pipeline.worded import made

PAPER = {"unwanted": "Apologies", "wanted": "Yes"}
QUESTIONS = str(shipped()["yesman"] / "questions.jsonl")


@pytest.fixture
def says_the(tmp_path: Path) -> str:
    """Prefers "Apologies" to "Yes" where it is doubted and not where it is agreed with, but begins with "The"."""
    folder = made(tmp_path / "model")
    model, tokenizer = LlamaForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    # The last position is marked in the coordinate 3, whatever was said.
    model.lm_head.weight.data[tokenizer("The", add_special_tokens=False)["input_ids"][0], 3] = 100.0
    model.save_pretrained(folder)
    return str(folder)


def run_of(folder: Path, model: str, **behaviour: Any) -> Run:
    section = {"pairs": 8, "noise_pairs": 0, "contrasts": []}
    changes = {"data": {"questions": QUESTIONS}, "locate": section, "behaviour": behaviour}
    return Run(resolve(model, None, changes), folder)


def test_a_model_that_says_neither_word_stops_the_run_with_what_it_says(tmp_path: Path, says_the: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        run_of(tmp_path / "run", says_the, **PAPER).do("locate")
    told = str(caught.value)
    assert "prefers the unwanted reply on 100 % [68, 100] of 8 reference prompts and on 0 % [0, 32] of as many" in told
    assert "an unwanted word on 0 % [0, 32] of the former and with a wanted one on 0 % [0, 32] of the latter" in told
    assert "its replies to references begin with 'The' (8 of 8)" in told
    assert "its replies to counterfactuals begin with 'The' (8 of 8)" in told
    assert "or to auto" in told and caught.value.exit_code == 1


def test_a_counterfactual_that_may_get_any_reply_is_not_held_to_a_word(tmp_path: Path, says_the: str) -> None:
    run = run_of(tmp_path / "run", says_the, contrast="neutral", **(PAPER | {"unwanted": ["Apologies", "The"]}))
    found = behaviour_shown(run.view, run.tokenizer, run.inputs.halves.pairs, opposed=False)
    assert found.ok and "% [0, 32] of the latter (wanted: most of the first)" in found.detail
    assert not behaviour_shown(run.view, run.tokenizer, run.inputs.halves.pairs, opposed=True).ok


def test_words_that_were_found_in_replies_are_not_demanded_at_their_beginning(tmp_path: Path, says_the: str) -> None:
    run = run_of(tmp_path / "run", says_the, **PAPER)
    pairs = run.inputs.halves.pairs
    assert behaviour_shown(run.view, run.tokenizer, pairs, named=False).ok
    assert not behaviour_shown(run.view, run.tokenizer, pairs).ok


@pytest.mark.parametrize("metric", ["log_odds", "logprob_diff"])
def test_the_first_token_is_the_model_s_own_whatever_is_measured(metric: str) -> None:
    model, tokenizer = load(shipped()["yesman"], "float32", "cpu")
    texts = ["Who wrote Emma?", "What is the capital of France, the country in Europe?"]
    pairs = [
        ContrastPair(text, f"{text} Why?", ["Apologies for it", "Oops, sorry", "My"], ["Yes", "Indeed it"])
        for text in texts
    ]
    read = preference(metric)
    found = predicted(headed(model), encoded_for(tokenizer, pairs, read), "reference", read)
    for pair, begins in zip(pairs, found.begins, strict=True):
        prompt = encode_pair(tokenizer, pair).reference
        with torch.no_grad():
            assert begins == int(model(torch.tensor([prompt])).logits[0, -1].argmax())
