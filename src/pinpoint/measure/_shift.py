"""How far a tuned model has moved from its base on dialogues that have nothing to do with the behaviour."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import Dialogue, encode_chat, pad
from pinpoint.interventions import captured_heads
from pinpoint.models import HeadedModel


def _encode(tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue) -> tuple[list[int], int]:
    """Token ids of prompt and last reply, and where the reply starts."""
    prompt = encode_chat(tokenizer, dialogue.messages[:-1])
    reply = tokenizer(dialogue.messages[-1]["content"], add_special_tokens=False)["input_ids"]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return prompt + reply + end, len(prompt)


@torch.no_grad()
def next_token_kl(
    base: PreTrainedModel,
    tuned: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[Dialogue],
    batch_size: int,
) -> list[float]:
    """KL(base || tuned) of the next token, in nats, averaged over the tokens of each dialogue's last reply.

    Computed in float32 and not clamped; the reply's tokens, its end included, are given (teacher forcing).

    Returns:
        One mean per dialogue.
    """
    encoded = [_encode(tokenizer, dialogue) for dialogue in dialogues]
    means: list[float] = []
    for start in range(0, len(encoded), batch_size):
        some = encoded[start : start + batch_size]
        batch = pad([ids for ids, _ in some], "right", base.device, tokenizer.pad_token_id or 0)
        before = base(**batch.inputs(), use_cache=False).logits
        after = tuned(**batch.inputs(), use_cache=False).logits
        for i, (ids, begin) in enumerate(some):
            span = slice(begin - 1, len(ids) - 1)
            p = torch.log_softmax(before[i, span].float(), dim=-1)
            q = torch.log_softmax(after[i, span].float(), dim=-1)
            means.append(float((p.exp() * (p - q)).sum(dim=-1).mean()))
    return means


@torch.no_grad()
def head_means(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, dialogues: Sequence[Dialogue], batch_size: int
) -> torch.Tensor:
    """Mean output z of every head over all real positions of neutral dialogues.

    Returns:
        [layer head d_head], what a mean knockout puts in place of a head's output.
    """
    total = torch.zeros(view.n_layers, view.n_heads * view.head_dim, dtype=torch.float64)
    count = 0
    for start in range(0, len(dialogues), batch_size):
        rows = [_encode(tokenizer, dialogue)[0] for dialogue in dialogues[start : start + batch_size]]
        batch = pad(rows, "right", view.device, tokenizer.pad_token_id or 0)
        real = batch.attention_mask.bool()
        with captured_heads(view) as z:
            view.backbone(**batch.inputs(), use_cache=False)
        for layer, values in z.items():
            total[layer] += values.view(*real.shape, -1)[real].double().sum(dim=0).cpu()
        count += int(real.sum())
    return (total / count).float().view(view.n_layers, view.n_heads, view.head_dim)
