"""Going on from what is encoded: the replies, and the logits behind them, are those to the whole dialogue."""

import copy

import pytest
import torch
from transformers import DynamicCache, GenerationConfig, PreTrainedModel

from pinpoint.data import pad
from pinpoint.measure._encoded import Encoded, can_go_on, encoded_alike, generate_on
from tests.families import FAMILIES, WRAPPERS, tiny

END, REPLY = 2, 11  # more than a stride of tokens
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
        found = generate_on(model, greedy(), prompts, encoded, keep=turn < 2)
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
    assert [one.tokens for one in generate_on(model, greedy(), prompts, encoded, keep=False)] == expected
    assert seen[0] == (3, 12), "what is shared is not read again"


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
    found = generate_on(model, greedy(None), prompts, [], keep=True)
    encoded = [one.encoded for one in found if one.encoded]
    assert [one.tokens for one in encoded] == [p + one.tokens[:-1] for p, one in zip(prompts, found, strict=True)]
    seen = read_by(model)
    following = [one.tokens[-1:] + ids(4, generator) for one in found]
    longer = [one.tokens + rest for one, rest in zip(encoded, following, strict=True)]
    generate_on(model, greedy(None), longer, encoded, keep=False)
    assert sum(rows * columns for rows, columns in seen) == sum(map(len, following)) + 2 * (REPLY - 1)


def test_a_dialogue_that_has_ended_leaves_the_batch() -> None:
    model, generator = tiny("llama-gqa"), torch.Generator().manual_seed(0)
    prompts = [ids(n, generator) for n in (12, 9, 5)]
    free = anew(model, prompts, None)
    end = [next(token for reply in free for token in reply[:5] if sum(token in one for one in free) == 1)]
    expected = anew(model, prompts, end)
    assert sorted(map(len, expected))[1:] == [REPLY, REPLY], "one has to end early for this to mean anything"
    assert [one.tokens for one in generate_on(model, greedy(end), prompts, [], keep=True)] == expected
    seen = read_by(model)
    kept = generate_on(model, greedy(end), prompts, [], keep=True)
    assert (seen[0][0], seen[-1][0]) == (3, 2)
    for one, prompt in zip(kept, prompts, strict=True):
        assert one.encoded is not None
        whole = DynamicCache()
        model(input_ids=torch.tensor([one.encoded.tokens]), past_key_values=whole)
        assert one.encoded.tokens == (prompt + one.tokens)[: len(one.encoded.tokens)]
        for (keys, values), layer in zip(one.encoded.layers, whole.layers, strict=True):
            torch.testing.assert_close(keys, layer.keys[0], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(values, layer.values[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prompt, alike", [((1, 2, 3, 4), 3), ((1, 2, 3), 2), ((1, 9, 3), 1), ((1,), 0), ((9, 2), 0)])
def test_the_last_token_of_a_prompt_is_always_read(prompt: tuple[int, ...], alike: int) -> None:
    assert Encoded((1, 2, 3), []).alike(prompt) == alike


def test_a_cache_of_which_nothing_is_alike_is_no_harm() -> None:
    model, generator = tiny("mistral"), torch.Generator().manual_seed(0)
    found = generate_on(model, greedy(), [ids(9, generator)], [], keep=True)
    prompts = [ids(7, generator)]
    assert found[0].encoded is not None
    again = generate_on(model, greedy(), prompts, [copy.copy(found[0].encoded)], keep=False)
    assert [one.tokens for one in again] == anew(model, prompts, END)
