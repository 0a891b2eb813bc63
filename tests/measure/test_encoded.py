"""Going on from what is encoded: the replies, and the logits behind them, are those to the whole dialogue."""

import copy
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.data import pad
from pinpoint.heads import Head
from pinpoint.measure._encoded import Encoded, Generated, can_go_on, generate_on
from pinpoint.measure._prefill import encoded_alike, passes_over, prefilled
from pinpoint.models import headed
from pinpoint.tune import attach, head_slices
from tests.families import FAMILIES, WRAPPERS, tiny

END, REPLY = 2, 11
# One of each way to tell positions, to share keys and values, and to route.
QUICK = {"llama-gqa", "llama4", "mistral", "mixtral", "gemma2", "gpt2", "gpt-neo", "opt", "bloom", "falcon-rw", "mpt"}
QUICK |= {"phi3", "deepseek-v3", "gpt-oss", "qwen2.5-vl"}
# Of these, what goes on from a state, or from tokens whose angles hang on the length, is not exact.
ANEW = {
    "jamba",
    "lfm2",
    "lfm2-moe",
    "falcon-h1",
    "bamba",
    "granite-hybrid",
    "qwen3-next",
    "olmo-hybrid",
    "phi3-longrope",
}
ANEW |= {
    "qwen3.5",
    "qwen3.5-moe",
    "qwen3.5-vision",
    "qwen3.5-moe-vision",
    "deepseek-v3.2",
    "exaone4.5-vision",
    "lfm2-vl",
    "minimax",
    "nemotron-h",
    "kimi-linear",
    "bailing-hybrid",
    "lfm3",
}


def ids(length: int, generator: torch.Generator) -> tuple[int, ...]:
    return tuple(torch.randint(3, 90, (length,), generator=generator).tolist())


def greedy(end: int | list[int] | None = END) -> GenerationConfig:
    return GenerationConfig(do_sample=False, max_new_tokens=REPLY, eos_token_id=end, pad_token_id=0, use_cache=True)


def anew(model: PreTrainedModel, prompts: list[tuple[int, ...]], end: int | list[int] | None) -> list[tuple[int, ...]]:
    """Each prompt alone, whole."""
    ends = end if isinstance(end, list) else [end]
    replies = []
    for prompt in prompts:
        batch = pad([prompt], "left", model.device)
        output = model.generate(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, generation_config=greedy(end)
        )
        said = output[0, len(prompt) :].tolist()
        replies.append(tuple(said[: next((i + 1 for i, token in enumerate(said) if token in ends), len(said))]))
    return replies


def gone_on(
    model: PreTrainedModel,
    prompts: list[tuple[int, ...]],
    encoded: list[Encoded],
    *,
    end: int | list[int] | None = END,
    keep: bool = False,
) -> list[Generated]:
    """Replies on top of what is encoded."""
    return generate_on(model, greedy(end), prompts, prefilled(model, prompts, encoded), keep=keep)


def read_by(model: PreTrainedModel) -> list[tuple[int, ...]]:
    """Rows and columns of what passes through the model from here on."""
    seen: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(lambda _m, _a, more: seen.append(tuple(more["input_ids"].shape)), with_kwargs=True)
    return seen


each_family = pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in (*FAMILIES, *WRAPPERS)
        if name not in ANEW
    ],
)


@each_family
def test_three_turns_on_one_cache_are_those_of_whole_prompts(family: str) -> None:
    model = tiny(family, max_position_embeddings=128) if family not in WRAPPERS else tiny(family)
    assert can_go_on(model)
    generator = torch.Generator().manual_seed(3)
    prompts, encoded = [ids(n, generator) for n in (9, 4, 12)], []
    for turn in range(3):
        expected = anew(model, prompts, END)
        found = gone_on(model, prompts, encoded, keep=turn < 2)
        assert [one.tokens for one in found] == expected
        encoded = [one.encoded for one in found if one.encoded]
        assert len(encoded) == (3 if turn < 2 else 0)
        # The template renders the reply of the second dialogue otherwise than it was generated.
        heard = [one.tokens[: 2 if i == 1 else None] for i, one in enumerate(found)]
        prompts = [
            prompt + said + ids(3 + i, generator) for i, (prompt, said) in enumerate(zip(prompts, heard, strict=True))
        ]


@each_family
def test_what_all_prompts_begin_with_is_read_once_and_the_replies_are_those_of_whole_prompts(family: str) -> None:
    model = tiny(family, max_position_embeddings=128) if family not in WRAPPERS else tiny(family)
    generator = torch.Generator().manual_seed(5)
    shared = ids(20, generator)
    prompts = [shared + ids(n, generator) for n in (9, 1, 12)]
    expected = anew(model, prompts, END)
    encoded = encoded_alike(model, prompts)
    assert [one.tokens for one in encoded] == [shared] * 3
    seen = read_by(model)
    assert [one.tokens for one in gone_on(model, prompts, encoded)] == expected
    assert seen[0] == (3, 12), "what is shared is not read again"


@each_family
def test_prompts_that_would_be_padded_far_are_read_apart_and_the_replies_are_those_of_whole_prompts(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinpoint.measure._prefill._PASS", 4)
    model = tiny(family, max_position_embeddings=128) if family not in WRAPPERS else tiny(family)
    generator = torch.Generator().manual_seed(7)
    prompts, encoded = [ids(n, generator) for n in (30, 4, 29, 5)], []
    for turn in range(2):
        expected = anew(model, prompts, END)
        found = gone_on(model, prompts, encoded, keep=turn == 0)
        assert [one.tokens for one in found] == expected
        encoded = [one.encoded for one in found if one.encoded]
        # The template renders two of the dialogues otherwise than they were generated, from early on.
        prompts = [
            prompt[: 2 if i in (0, 3) else None] + one.tokens + ids(3, generator)
            for i, (prompt, one) in enumerate(zip(prompts, found, strict=True))
        ]


def test_prompts_of_similar_length_are_read_together_and_all_go_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.measure._prefill._PASS", 4)
    model, generator = tiny("llama-gqa"), torch.Generator().manual_seed(0)
    seen = read_by(headed(model).backbone)
    found = gone_on(model, [ids(n, generator) for n in (30, 4, 29, 5)], [], end=None, keep=True)
    assert seen[:3] == [(2, 4), (2, 29), (4, 1)]
    assert [len(one.encoded.tokens) for one in found if one.encoded] == [n + REPLY - 1 for n in (30, 4, 29, 5)]


@pytest.mark.parametrize("family", ["llama-gqa", "opt"])
def test_under_an_adapter_the_backbone_alone_reads(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.measure._prefill._PASS", 4)
    model, generator = tiny(family), torch.Generator().manual_seed(0)
    prompts = [ids(n, generator) for n in (30, 4, 29, 5)]
    alike = [(*range(3, 23), *prompt) for prompt in prompts]
    view = headed(model)
    live: Any = attach(view, head_slices(view, [Head(1, 0)], "q,o"))
    for some in (prompts, alike):
        with model.get_output_embeddings().register_forward_hook(lambda *_: pytest.fail("no logits are asked for")):
            start = prefilled(live, some, encoded_alike(live, some))
        assert start.get_seq_length() == max(map(len, some)) - 1
        found = generate_on(live, greedy(None), some, start, keep=False)
        assert [one.tokens for one in found] == anew(live, some, None)


def test_blocks_that_are_fetched_are_fetched_for_one_pass_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    monkeypatch.setattr("pinpoint.measure._prefill._PASS", 4)
    model, generator = tiny("llama-gqa", vocab_size=len(tokenizer)), torch.Generator().manual_seed(0)
    prompts = [tuple(range(3, 23)) + ids(n, generator) for n in (30, 4, 29, 5)]
    expected = anew(model, prompts, None)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    fetched = pinpoint.load(tmp_path, "float32", "cpu", device_map="disk").model
    assert encoded_alike(fetched, prompts) == []
    seen = read_by(headed(fetched).backbone)
    assert [one.tokens for one in gone_on(fetched, prompts, [], end=None)] == expected
    assert seen[0] == (4, 50), "whole, and not in parts before"


@pytest.mark.parametrize(
    "lengths, passes",
    [
        ([7], [[0]]),
        ([9, 9, 9], [[0, 1, 2]]),
        ([300, 10, 300, 10], [[1, 3], [0, 2]]),
        # A pass more reads as many tokens less as it counts for, or fewer: not worth it.
        ([266, 10], [[1, 0]]),
        ([267, 10], [[1], [0]]),
        ([1000, 20, 500, 10], [[3, 1], [2], [0]]),
    ],
)
def test_a_pass_more_is_worth_what_it_saves(lengths: list[int], passes: list[list[int]]) -> None:
    assert passes_over(lengths) == passes


def test_the_passes_are_those_of_least_cost() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        lengths = torch.randint(1, 900, (6,), generator=generator).tolist()
        split = [
            [sorted(lengths)[a:b] for a, b in pairwise((0, *cuts, 6))]
            for count in range(6)
            for cuts in combinations(range(1, 6), count)
        ]
        least = min(sum(len(rows) * max(rows) + 256 for rows in passes) for passes in split)
        assert sum(len(rows) * max(lengths[i] for i in rows) + 256 for rows in passes_over(lengths)) == least


def test_a_prompt_of_one_token_is_read_with_the_others() -> None:
    model, generator = tiny("llama-gqa"), torch.Generator().manual_seed(0)
    prompts = [ids(1, generator), *(ids(300, generator) for _ in range(2))]
    assert [one.tokens for one in gone_on(model, prompts, [])] == anew(model, prompts, END)


def test_little_in_common_or_one_prompt_alone_is_not_encoded_apart() -> None:
    model, generator = tiny("llama-gqa"), torch.Generator().manual_seed(0)
    shared = ids(16, generator)
    assert encoded_alike(model, [(*shared[:15], 3, 5), (*shared[:15], 4, 5)]) == []
    assert encoded_alike(model, [(*shared, 3, 5)]) == []
    # The last token of a prompt is read with the others, for its logits.
    assert encoded_alike(model, [shared, (*shared, 3)]) == []
    assert len(encoded_alike(model, [(*shared, 3), (*shared, 4, 5)])) == 2


def test_some_are_read_anew() -> None:
    assert not any(can_go_on(tiny(family)) for family in ANEW)


def test_what_is_encoded_is_not_encoded_again() -> None:
    model, generator = tiny("llama-gqa"), torch.Generator().manual_seed(0)
    prompts = [ids(n, generator) for n in (9, 12)]
    found = gone_on(model, prompts, [], end=None, keep=True)
    encoded = [one.encoded for one in found if one.encoded]
    assert [one.tokens for one in encoded] == [p + one.tokens[:-1] for p, one in zip(prompts, found, strict=True)]
    seen = read_by(model)
    following = [one.tokens[-1:] + ids(4, generator) for one in found]
    longer = [one.tokens + rest for one, rest in zip(encoded, following, strict=True)]
    gone_on(model, longer, encoded, end=None)
    assert sum(rows * columns for rows, columns in seen) == sum(map(len, following)) + 2 * (REPLY - 1)


def test_a_dialogue_that_has_ended_leaves_the_batch() -> None:
    model, generator = tiny("llama-gqa"), torch.Generator().manual_seed(0)
    prompts = [ids(n, generator) for n in (12, 9, 5)]
    free = anew(model, prompts, None)
    end = [next(token for reply in free for token in reply[:5] if sum(token in one for one in free) == 1)]
    expected = anew(model, prompts, end)
    assert sorted(map(len, expected))[1:] == [REPLY, REPLY], "one has to end early for this to mean anything"
    assert [one.tokens for one in gone_on(model, prompts, [], end=end, keep=True)] == expected
    seen = read_by(model)
    kept = gone_on(model, prompts, [], end=end, keep=True)
    assert [rows for rows, columns in seen] == [3] * min(map(len, expected)) + [2] * (REPLY - min(map(len, expected)))
    start = prefilled(model, prompts, [])
    generate_on(model, greedy(end), prompts, start, keep=False)
    assert len(start.layers[0].keys) == 2, "what is encoded of it goes with it, whoever still holds the cache"  # type: ignore[union-attr, arg-type]
    for one, prompt in zip(kept, prompts, strict=True):
        assert one.encoded is not None
        whole = DynamicCache()
        model(input_ids=torch.tensor([one.encoded.tokens]), past_key_values=whole)
        assert one.encoded.tokens == (prompt + one.tokens)[: len(one.encoded.tokens)]
        for (keys, values), layer in zip(one.encoded.layers, whole.layers, strict=True):
            torch.testing.assert_close(keys, layer.keys[0], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(values, layer.values[0], atol=1e-4, rtol=1e-4)


def test_few_that_have_ended_stay_with_many() -> None:
    model, generator = tiny("llama-gqa"), torch.Generator().manual_seed(0)
    prompts = [ids(n, generator) for n in (12, 9, 5, 7, 8)]
    free = anew(model, prompts, None)
    end = [next(token for reply in free for token in reply[:5] if sum(token in one for one in free) == 1)]
    expected = anew(model, prompts, end)
    assert sorted(map(len, expected))[1] == REPLY > min(map(len, expected)), "one of five ends early"
    seen = read_by(model)
    assert [one.tokens for one in gone_on(model, prompts, [], end=end)] == expected
    assert {rows for rows, columns in seen} == {5}


@pytest.mark.parametrize("prompt, alike", [((1, 2, 3, 4), 3), ((1, 2, 3), 2), ((1, 9, 3), 1), ((1,), 0), ((9, 2), 0)])
def test_the_last_token_of_a_prompt_is_always_read(prompt: tuple[int, ...], alike: int) -> None:
    assert Encoded((1, 2, 3), []).alike(prompt) == alike


def test_a_cache_of_which_nothing_is_alike_is_no_harm() -> None:
    model, generator = tiny("mistral"), torch.Generator().manual_seed(0)
    found = gone_on(model, [ids(9, generator)], [], keep=True)
    prompts = [ids(7, generator)]
    assert found[0].encoded is not None
    again = gone_on(model, prompts, [copy.copy(found[0].encoded)])
    assert [one.tokens for one in again] == anew(model, prompts, END)
