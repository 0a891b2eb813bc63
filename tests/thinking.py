"""A chat model that says what it is set to: a real one, whose weights tell the next token by the last alone."""

from collections.abc import Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from pinpoint.data import encode_chat, user


def taught(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer with the tags of a thought as tokens."""
    tokenizer.add_tokens(["<think>", "</think>"])
    return tokenizer


def clockwork(tokenizer: PreTrainedTokenizerBase, says: Sequence[str]) -> LlamaForCausalLM:
    """A model that says these tokens after every prompt, the last of them again and again unless it is the end.

    Args:
        tokenizer: its own.
        says: tokens, none of them twice; the end is added where the last is not "...".
    """
    size = len(tokenizer)
    ids = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word)[0]) for word in says if word != "..."]
    last = ids[-1] if says[-1] == "..." else tokenizer.eos_token_id
    first = encode_chat(tokenizer, [user("Why?")])[-1]
    assert len({first, *ids}) == len(ids) + 1, "every token must say by itself what comes next"
    shape = {"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=size, hidden_size=size, **shape)).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.fill_(float("norm" in name))
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        for now, after in zip([first, *ids], [*ids, last], strict=True):
            model.lm_head.weight[after, now] = 1.0
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model
