"""Contrast pairs and batches."""

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from pinpoint.data import ContrastPair, assistant, encode_chat, encode_pair, first_tokens, pad, user
from pinpoint.errors import InputError

TALK = [user("Hi, I am Tom."), assistant("Hello Tom, nice to meet you."), user("Thank you, says Tom.")]


def test_prompts_may_be_ids_text_or_messages(tokenizer: PreTrainedTokenizerBase) -> None:
    pair = encode_pair(tokenizer, ContrastPair(TALK, "Hi, I am Tom.", "Apologies", ["Yes", "Indeed"]))
    assert pair.reference == encode_chat(tokenizer, TALK)
    assert tokenizer.decode(pair.reference).endswith("<|assistant|>")
    assert pair.counterfactual == tokenizer("Hi, I am Tom.")["input_ids"]
    assert pair.unwanted == [tokenizer("Apologies")["input_ids"][0]]
    assert len(pair.wanted) == 2
    assert encode_pair(None, ContrastPair([1, 2], [3], 4, [5, 6])) == ([1, 2], [3], [4], [5, 6], ())


def test_answers_that_share_their_first_token_are_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(InputError, match="share a first token"):
        encode_pair(tokenizer, ContrastPair([1], [2], "Yes, sure", "Yes, right"))


def test_strings_need_a_tokenizer() -> None:
    with pytest.raises(InputError, match="'Yes' is a string, but there is no tokenizer"):
        first_tokens(None, "Yes")
    with pytest.raises(InputError, match="not token ids, but there is no tokenizer"):
        encode_pair(None, ContrastPair("text", [1], 1, 2))
    with pytest.raises(InputError, match="a prompt is empty"):
        encode_pair(None, ContrastPair([], [1], 1, 2))


def test_a_tokenizer_without_a_template_is_a_clear_error(tokenizer: PreTrainedTokenizerBase) -> None:
    kept, tokenizer.chat_template = tokenizer.chat_template, None
    try:
        with pytest.raises(InputError, match="no chat template"):
            encode_chat(tokenizer, TALK)
    finally:
        tokenizer.chat_template = kept


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_counts_positions_of_real_tokens_only(side: str) -> None:
    batch = pad([[5, 6, 7], [8]], side, torch.device("cpu"), 0)
    row = 0 if side == "right" else 2
    assert batch.input_ids[1].tolist() == ([8, 0, 0] if side == "right" else [0, 0, 8])
    assert batch.last.tolist() == [2, row]
    assert batch.position_ids[0].tolist() == [0, 1, 2]
    assert batch.position_ids[1, row].item() == 0
    assert batch.attention_mask.sum().item() == 4
