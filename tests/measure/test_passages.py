"""Divergence on plain text and on what the base says next: by hand, text by text."""

import warnings

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import Dialogue, Excerpt, assistant, encode_chat, user
from pinpoint.errors import InputError
from pinpoint.measure import _passages, continued, passage_rows, prompt_rows, shift_on
from pinpoint.memory import BatchSize
from tests.families import tiny

TEXTS = [
    Excerpt("p:1", "Canberra is the capital of Australia. Horses drink milk."),
    Excerpt("p:3", "Apples."),
    Excerpt("p:5", "What is the capital of Sweden? Please give the author of On the Road. Copy this."),
]
TALKS = [
    Dialogue(id="a", messages=(user("What is the capital of Australia?"), assistant("Canberra."))),
    Dialogue(id="b", messages=(user("Hi."), assistant("Hello."), user("Copy: apple."), assistant("apple"))),
]


@pytest.fixture
def models(tokenizer: PreTrainedTokenizerBase) -> tuple[PreTrainedModel, PreTrainedModel]:
    base, tuned = (tiny("llama-gqa", seed, vocab_size=len(tokenizer)) for seed in (0, 1))
    return base, tuned


def by_hand(base: PreTrainedModel, tuned: PreTrainedModel, ids: list[int], first: int) -> float:
    """The mean KL of the tokens from `first` on."""
    both = [model(torch.tensor([ids])).logits[0, first - 1 : -1].double() for model in (base, tuned)]
    p, q = (logits.log_softmax(dim=-1) for logits in both)
    return float((p.exp() * (p - q)).sum(dim=-1).mean())


@torch.no_grad()
@pytest.mark.parametrize("most", [256, 9])
def test_the_shift_of_a_passage_is_the_mean_over_all_its_tokens_but_the_first(
    models: tuple[PreTrainedModel, PreTrainedModel], tokenizer: PreTrainedTokenizerBase, most: int
) -> None:
    rows = passage_rows(tokenizer, TEXTS, most)
    assert [row.ids for row in rows] == [tokenizer(text.text)["input_ids"][:most] for text in TEXTS]
    assert max(len(row.ids) for row in rows) == (
        9 if most == 9 else max(len(tokenizer(t.text).input_ids) for t in TEXTS)
    )
    found = shift_on(*models, tokenizer, rows, 2)
    assert found == pytest.approx([by_hand(*models, row.ids, 1) for row in rows], rel=1e-4)
    assert shift_on(models[0], models[0], tokenizer, rows, 2) == [0, 0, 0]


@torch.no_grad()
def test_greedy_continuations_are_those_of_generate_and_the_shift_is_over_them_alone(
    models: tuple[PreTrainedModel, PreTrainedModel], tokenizer: PreTrainedTokenizerBase
) -> None:
    base, tuned = models
    prompts = prompt_rows(tokenizer, TALKS) + [row.ids for row in passage_rows(tokenizer, TEXTS, 16)]
    assert prompts[1] == encode_chat(tokenizer, list(TALKS[1].messages[:3]))
    # One of the five comes to an end of the base's own before the others.
    assert base.generation_config is not None
    base.generation_config.eos_token_id = int(base(torch.tensor([prompts[0]])).logits[0, -1].argmax())
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        said = base.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)  # type: ignore[operator]
        expected.append(said[0].tolist())
    found = continued(base, tokenizer, prompts, 6, 2)
    assert [row.ids for row in found] == expected
    assert len(found[0].ids) == len(prompts[0]) + 1 and max(len(row.ids) - row.begin for row in found) == 6
    by_loop = [by_hand(base, tuned, row, len(prompt)) for row, prompt in zip(expected, prompts, strict=True)]
    assert shift_on(base, tuned, tokenizer, found, 3) == pytest.approx(by_loop, rel=1e-4)
    assert shift_on(base, base, tokenizer, found, 3) == [0] * 5


def test_texts_that_nothing_can_be_measured_on_are_refused(
    models: tuple[PreTrainedModel, PreTrainedModel], tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(InputError, match=r"p:9: nothing comes after its first token\. Take the passage out"):
        passage_rows(tokenizer, [Excerpt("p:9", "?")], 16)
    long = passage_rows(tokenizer, [Excerpt("p:1", "Copy this. " * 60)], 256)
    with pytest.raises(
        InputError, match=r"passage_tokens, .*: the longest text comes to \d+ tokens, the model reads 64"
    ):
        shift_on(*models, tokenizer, long, 2)
    with pytest.raises(InputError, match=r"comes to 66 tokens, the model reads 64\. Lower them"):
        continued(models[0], tokenizer, [[5] * 60], 6, 2)


@torch.no_grad()
def test_long_texts_count_for_more_in_a_batch_and_one_that_does_not_fit_is_halved(
    models: tuple[PreTrainedModel, PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, tuned = models
    rows = passage_rows(tokenizer, TEXTS, 16)
    expected = shift_on(base, tuned, tokenizer, rows, 1)
    sizes: list[int] = []

    def limited(module: torch.nn.Module, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        sizes.append(len(kwargs["input_ids"]))
        if len(kwargs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = base.register_forward_pre_hook(limited, with_kwargs=True)
    at_once = BatchSize(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert shift_on(base, tuned, tokenizer, rows, at_once) == pytest.approx(expected, rel=1e-4)
    assert sizes == [3, 1, 1, 1] and at_once.now == 1
    sizes.clear()
    monkeypatch.setattr(_passages, "_WEIGHED", 8)
    assert [len(row.ids) > 8 for row in rows] == [True, False, True]
    shift_on(base, tuned, tokenizer, rows, 3)
    assert sizes == [1, 2], "the longest first: two and two make four, two and one three"
    hook.remove()
