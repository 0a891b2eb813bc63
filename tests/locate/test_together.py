"""Prompts that a model would read otherwise side by side than alone, and ids that it does not have, are refused."""

from dataclasses import replace

import pytest
import torch

import pinpoint
from pinpoint.errors import ConfigError, InputError
from pinpoint.models import headed
from tests.families import LONG_ROPE, tiny
from tests.locate.test_engines import relative


def pair(length: int, other: int | None = None) -> pinpoint.ContrastPair:
    generator = torch.Generator().manual_seed(length)
    sides = [torch.randint(1, 97, (n,), generator=generator).tolist() for n in (length, other or length)]
    return pinpoint.ContrastPair(*sides, unwanted=[5, 6], wanted=[7])


def test_pairs_on_both_sides_of_the_length_that_turns_the_positions_are_refused() -> None:
    rope = LONG_ROPE | {"original_max_position_embeddings": 8}
    model = tiny("phi3-longrope", rope_parameters=rope, original_max_position_embeddings=8)
    for some in ([pair(6), pair(12)], [pair(6, 9)]):
        with pytest.raises(InputError, match="6 to 1?[29] tokens: beyond 8, this model has other position embeddings"):
            pinpoint.locate(model, None, some)
    for some in ([pair(6), pair(8)], [pair(9), pair(12)]):
        alone = torch.cat([pinpoint.locate(model, None, [one]).effects for one in some])
        assert relative(pinpoint.locate(model, None, some).effects, alone) < 1e-5


def test_prompts_of_unequal_length_are_refused_where_attention_counts_padding() -> None:
    scaled = {"floor_scale": 4, "no_rope_layers": [1, 0, 1]}
    model = tiny("llama4", **scaled)
    with pytest.raises(
        InputError, match=r"pair 1: prompts have 3 to 9 tokens: from 4 on, this model's attention counts"
    ):
        pinpoint.locate(model, None, [pair(3), pair(9)])
    some = [pair(9), pair(9)]
    fast, exact = (pinpoint.locate(model, None, some, engine=engine).effects for engine in ("sweep", "naive"))
    assert relative(fast, exact) < 1e-4
    flat = tiny("llama4", attn_temperature_tuning=False, **scaled)
    assert relative(pinpoint.locate(flat, None, some).effects, fast) > 1e-3, "the scale must matter"
    pinpoint.locate(flat, None, [pair(3), pair(9)])


@pytest.mark.parametrize("where", ["reference", "counterfactual", "unwanted"])
def test_a_token_that_the_model_does_not_have_names_the_pair(where: str) -> None:
    bad = replace(pair(4), **{where: [1, 97]})
    with pytest.raises(InputError, match="pair 1: token 97 is none of the model's 97"):
        pinpoint.locate(tiny("llama-gqa"), None, [pair(4), bad])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more; got 0"),
        ({"rows_per_chunk": 1.5}, "rows_per_chunk must be a whole number of 1 or more; got 1.5"),
        ({"padding_side": "middle"}, "padding_side 'middle' is unknown. Use one of left, right"),
        ({"given": ["L0.H1"]}, "'L0.H1' is not a head"),
    ],
)
def test_arguments_that_make_no_sense_are_one_error(asked: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pinpoint.locate(tiny("llama-gqa"), None, [pair(4)], **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("search", [pinpoint.find_set, pinpoint.greedy_set])
def test_a_search_for_no_head_is_refused(search: object) -> None:
    with pytest.raises(ConfigError, match="count must be 1 or more; got -1"):
        search(tiny("llama-gqa"), None, [pair(4)], -1)  # type: ignore[operator]


def test_mlps_whose_matrices_are_buffers_are_nodes() -> None:
    model = tiny("llama-gqa")
    expected = pinpoint.locate_nodes(model, None, [pair(5)], nodes=["mlps"])
    for block in headed(model).layers:
        for linear in (block.mlp.gate_proj, block.mlp.up_proj, block.mlp.down_proj):  # type: ignore[union-attr]
            weight = linear.weight.detach()  # type: ignore[union-attr]
            del linear.weight  # type: ignore[union-attr]
            linear.register_buffer("weight", weight)  # type: ignore[union-attr, operator]
    found = pinpoint.locate_nodes(model, None, [pair(5)], nodes=["mlps"])
    assert found.nodes == expected.nodes and len(found.nodes) == headed(model).n_layers
    assert torch.equal(found.effects, expected.effects)
