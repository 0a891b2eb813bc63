"""Divergence on replies and means of heads: by hand, dialogue by dialogue."""

import copy

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase

from pinpoint.data import Dialogue, assistant, encode_chat, user
from pinpoint.errors import InputError
from pinpoint.interventions import captured_heads
from pinpoint.measure import Deployment, Kept, anchor_rows, head_means, next_token_kl, reply_kl
from pinpoint.models import headed
from tests.families import tiny

TALKS = [
    Dialogue(id="a", messages=(user("What is the capital of Australia?"), assistant("Canberra."))),
    Dialogue(id="b", messages=(user("Copy: horse."), assistant("horse milk bread"))),
    Dialogue(id="c", messages=(user("Hi."), assistant("Hello."), user("Copy: apple."), assistant("apple"))),
]


def test_a_row_is_the_prompt_the_reply_and_its_end(tokenizer: PreTrainedTokenizerBase) -> None:
    for talk, row in zip(TALKS, anchor_rows(tokenizer, TALKS, None), strict=True):
        prompt = encode_chat(tokenizer, list(talk.messages[:-1]))
        reply = tokenizer(talk.messages[-1]["content"], add_special_tokens=False)["input_ids"]
        assert row.ids == [*prompt, *reply, tokenizer.eos_token_id] and row.begin == len(prompt)
        deciding = range(len(row.ids))[row.deciding]
        assert [row.ids[i + 1] for i in deciding] == [*reply, tokenizer.eos_token_id]


def test_a_reply_has_no_beginning_of_its_own_where_the_tokenizer_sets_one_before_every_text(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    beginning = copy.deepcopy(tokenizer)
    first = (beginning.bos_token, beginning.bos_token_id)
    beginning.backend_tokenizer.post_processor = TemplateProcessing(single=f"{first[0]} $A", special_tokens=[first])
    assert beginning("Hello.")["input_ids"][0] == beginning.bos_token_id
    assert anchor_rows(beginning, TALKS, None) == anchor_rows(tokenizer, TALKS, None)


def test_a_tokenizer_without_an_end_adds_none(tokenizer: PreTrainedTokenizerBase) -> None:
    endless = copy.deepcopy(tokenizer)
    endless.eos_token = None
    expected = [row.ids[:-1] for row in anchor_rows(tokenizer, TALKS, None)]
    assert [row.ids for row in anchor_rows(endless, TALKS, None)] == expected


def test_divergence_is_of_distributions_in_nats_and_one_way() -> None:
    before = torch.tensor([[0.5, 0.25, 0.25], [0.9, 0.05, 0.05]]).log()
    after = torch.tensor([[0.25, 0.5, 0.25], [0.9, 0.05, 0.05]]).log()
    expected = 0.5 * torch.tensor(2.0).log() + 0.25 * torch.tensor(0.5).log()
    assert reply_kl(before + 3, after - 5).tolist() == pytest.approx([float(expected), 0], abs=1e-6)
    assert reply_kl(before.to(torch.bfloat16), after).dtype == torch.float32


@torch.no_grad()
def test_the_shift_of_each_dialogue_is_the_mean_over_its_reply(tokenizer: PreTrainedTokenizerBase) -> None:
    base, tuned = (tiny("llama-gqa", seed, vocab_size=len(tokenizer)) for seed in (0, 1))
    found = next_token_kl(base, tuned, tokenizer, TALKS, 2)
    for row, mean in zip(anchor_rows(tokenizer, TALKS, None), found, strict=True):
        ids = torch.tensor([row.ids])
        p, q = (model(ids).logits[0, row.begin - 1 : -1].log_softmax(dim=-1) for model in (base, tuned))
        assert mean == pytest.approx(float((p.exp() * (p - q)).sum(dim=-1).mean()), rel=1e-4)
    assert next_token_kl(base, base, tokenizer, TALKS, 2) == [0, 0, 0]


@pytest.mark.parametrize("family", ["llama-gqa", "mixtral", "gemma2", "bloom"])
def test_a_base_that_several_models_are_held_against_is_run_once(
    family: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    base, *others = (tiny(family, seed, vocab_size=len(tokenizer)) for seed in (0, 1, 2))
    alone = [next_token_kl(base, other, tokenizer, TALKS, 2) for other in others]
    kept, runs = Kept(), list[int]()
    base.base_model.register_forward_hook(lambda *_: runs.append(1))
    assert [next_token_kl(base, other, tokenizer, TALKS, 2, kept=kept) for other in others] == alone
    assert len(runs) == 2, "one pass for each of the two batches"
    # Other dialogues are no part of what is known.
    assert next_token_kl(base, others[0], tokenizer, TALKS[:1], 2, kept=kept) == pytest.approx(alone[0][:1], rel=1e-4)
    assert len(runs) == 3


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama-gqa", "jamba"])
def test_the_mean_of_a_head_is_over_all_tokens_of_all_dialogues(
    family: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = tiny(family, vocab_size=len(tokenizer))
    view = headed(model)
    seen: dict[int, list[torch.Tensor]] = {layer: [] for layer in view.attention_layers}
    for row in anchor_rows(tokenizer, TALKS, None):
        with captured_heads(view) as z:
            model(torch.tensor([row.ids]))
        for layer, value in z.items():
            seen[layer].append(value.reshape(len(row.ids), view.n_heads, view.head_dim))
    means = head_means(view, tokenizer, TALKS, 2)
    assert means.shape == (view.n_layers, view.n_heads, view.head_dim) and means.dtype == torch.float32
    for layer in range(view.n_layers):
        expected = torch.cat(seen[layer]).mean(dim=0) if layer in seen else torch.zeros(view.n_heads, view.head_dim)
        assert torch.allclose(means[layer], expected, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama-gqa"])
def test_a_dialogue_that_the_model_cannot_read_whole_is_named(family: str, tokenizer: PreTrainedTokenizerBase) -> None:
    lengths = {len(row.ids): talk.id for talk, row in zip(TALKS, anchor_rows(tokenizer, TALKS, None), strict=True)}
    most = max(lengths)
    reads, lacks = (
        tiny(family, vocab_size=len(tokenizer), max_position_embeddings=limit) for limit in (most, most - 1)
    )
    head_means(headed(reads), tokenizer, TALKS, 4)
    next_token_kl(reads, reads, tokenizer, TALKS, 4)
    told = rf"^the neutral dialogue '{lengths[most]}': it has {most} tokens, the model reads {most - 1}\. Drop or "
    with pytest.raises(InputError, match=told):
        head_means(headed(lacks), tokenizer, TALKS, 4)
    with pytest.raises(InputError, match=told):
        next_token_kl(lacks, lacks, tokenizer, TALKS, 4)
    with pytest.raises(InputError, match="the model reads"):
        next_token_kl(reads, reads, tokenizer, TALKS, 4, Deployment(system="Be brief."))
