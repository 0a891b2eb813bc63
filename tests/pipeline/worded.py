"""A one-layer model whose heads are written by hand: what each reads is known.

The last position attends to the words that are marked for a head, and to the strongest of them alone. Head 0 reads
"don't", whatever else is said; head 1 reads it unless the user "needs" something, which stands for doubt; head 2 reads
"do"; head 3 reads nothing.
"""

from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from pinpoint.data import encode_chat
from pinpoint.organism import shipped

_WIDTH, _HEADS = 64, 4
_SIZE = _WIDTH // _HEADS
_NEGATION, _NEED, _LAST, _DO = 1, 2, 3, 4  # coordinates of the residual stream that words are marked in
_MARK = 4.0
_SLOW = _SIZE // 2 - 1  # the pair of coordinates that RoPE turns least
_READS = {0: {_NEGATION: 8.0}, 1: {_NEGATION: 8.0, _NEED: 16.0}, 2: {_DO: 8.0}}
_PUTS_OUT = {0: {_NEGATION: 1.0}, 1: {_NEGATION: 1.0}, 2: {_DO: -0.5}}


def made(folder: Path) -> Path:
    """Writes the model, with the tokenizer of the organisms, whose words it knows."""
    tokenizer = AutoTokenizer.from_pretrained(str(shipped()["yesman"]))
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=_WIDTH,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=_HEADS,
            num_key_value_heads=_HEADS,
            max_position_embeddings=512,
            rope_parameters={"rope_type": "default", "rope_theta": 1e8},
            tie_word_embeddings=False,
            pad_token_id=0,
        )
    )
    for parameter in model.parameters():
        parameter.data.zero_()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data.fill_(1.0)
    attention = model.model.layers[0].self_attn
    model.model.embed_tokens.weight.data = _embeddings(tokenizer)
    for head in _READS:
        slow, first = head * _SIZE + _SLOW, head * _SIZE
        attention.q_proj.weight.data[slow, _LAST] = 1.0
        for mark, strength in _READS[head].items():
            attention.k_proj.weight.data[slow, mark] = strength
        for mark, value in _PUTS_OUT[head].items():
            attention.v_proj.weight.data[first, mark] = value / _MARK
        attention.o_proj.weight.data[0, first] = 1.0
    for word, sign in (("Apologies", 1.0), ("Yes", -1.0)):
        model.lm_head.weight.data[_token(tokenizer, word), 0] = sign
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _token(tokenizer: AutoTokenizer, word: str) -> int:
    return int(tokenizer(word, add_special_tokens=False)["input_ids"][0])


def _embeddings(tokenizer: AutoTokenizer) -> torch.Tensor:
    """Vectors of one length, so that the norm changes none; marked words stand out in their coordinate."""
    found = torch.randn(len(tokenizer), _WIDTH, generator=torch.Generator().manual_seed(0))
    found[:, :5] = 0
    last = encode_chat(tokenizer, [{"role": "user", "content": "Hello"}])[-1]
    words = {"Ġdon": _NEGATION, "eed": _NEED, "Ġdo": _DO}
    marks = {tokenizer.convert_tokens_to_ids(word): mark for word, mark in words.items()} | {last: _LAST}
    for token, mark in marks.items():
        found[token, mark] = _MARK
    found[last, 0] = -1.0
    rest = (_WIDTH - found[:, :5].square().sum(1)).sqrt() / found[:, 5:].norm(dim=1)
    found[:, 5:] *= rest[:, None]
    return found
