"""Groups, attention layers and MLPs: the sweep gives what a forward pass per node gives, rightly patched."""

import dataclasses

import pytest
import torch

import pinpoint
from pinpoint.data import encode_pair, pad
from pinpoint.errors import ConfigError, InputError, PinpointWarning
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs, seen_outputs
from pinpoint.locate._naive import naive
from pinpoint.locate._protocol import Engine
from pinpoint.locate._sweep import sweep
from pinpoint.measure import metric_named
from pinpoint.models import headed
from pinpoint.nodes import KINDS, Kind, Node, NodeScores, checked_kinds
from tests.families import FAMILIES, tiny
from tests.models import checks

# Sequential and parallel blocks, an MLP that adds the residual itself, routed MLPs, a hybrid.
FEW = ("llama-gqa", "falcon-40b", "bloom", "mpt", "granite-moe-shared", "jamba")


def difference(family: str) -> float:
    model = tiny(family)
    found = []
    for pairs in (checks.pairs(), checks.alike()):
        exact = pinpoint.locate_nodes(model, None, pairs, engine="naive")
        fast = pinpoint.locate_nodes(model, None, pairs)
        assert fast.nodes == exact.nodes and {node.kind for node in fast.nodes} == set(KINDS)
        assert checks.relative(fast.reference, exact.reference) < 1e-4
        for kind in KINDS:
            columns = [i for i, node in enumerate(exact.nodes) if node.kind == kind]
            assert exact.effects[:, columns].abs().max() > 1e-3, f"{kind} must matter for this to mean anything"
            found.append(checks.relative(fast.effects[:, columns], exact.effects[:, columns]))
    return max(found)


@pytest.mark.parametrize("family", FEW)
def test_the_sweep_equals_a_forward_pass_per_node(family: str) -> None:
    assert difference(family) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in FEW])
def test_the_sweep_equals_a_forward_pass_per_node_on_every_other_architecture(family: str) -> None:
    assert difference(family) < 1e-4


@torch.no_grad()
def mlp_by_hand(model: object, module: str, pair: pinpoint.ContrastPair) -> float:
    """Adds the difference of what a module puts out, and reruns what comes after it with attention frozen."""
    view = headed(model)
    reference, counterfactual = (torch.tensor([ids]) for ids in (pair.reference, pair.counterfactual))
    outputs = []
    part = model.get_submodule(module)
    handle = part.register_forward_hook(lambda _module, _args, output: outputs.append(output[..., -1, :].clone()))
    model(counterfactual)
    with captured_heads(view) as z:
        model(reference)
    handle.remove()
    moved = outputs[0] - outputs[1]

    def add(_module: object, _args: object, output: torch.Tensor) -> torch.Tensor:
        return torch.cat([output[..., :-1, :], output[..., -1:, :] + moved[..., None, :]], dim=-2)

    handle = part.register_forward_hook(add)
    with edited_inputs(view.out_projs(), lambda i, x: z[i].view_as(x)):
        patched = model(reference).logits[0, -1]
    handle.remove()
    before = model(reference).logits[0, -1]
    return float((patched - before)[pair.unwanted] - (patched - before)[pair.wanted])


# The module whose output is the MLP's contribution to the residual stream and nothing else.
CONTRIBUTES = {
    "llama-gqa": "model.layers.{}.mlp",
    "qwen3": "model.layers.{}.mlp.down_proj",
    "bloom": "transformer.h.{}.mlp.dense_4h_to_h",
    "mpt": "transformer.blocks.{}.ffn.down_proj",
    "opt": "model.decoder.layers.{}.fc2",
    "falcon-7b": "transformer.h.{}.mlp.dense_4h_to_h",
}


@pytest.mark.parametrize("family", CONTRIBUTES)
def test_the_effect_of_an_mlp_is_what_adding_its_difference_does(family: str) -> None:
    model = tiny(family)
    pairs = [pinpoint.ContrastPair(list(range(3, 11)), list(range(4, 11)) + [40 + i], 5, 6) for i in range(3)]
    found = pinpoint.locate_nodes(model, None, pairs, nodes=["mlps"], batch_size=2)
    layers = [node.layer for node in found.nodes]
    expected = [[mlp_by_hand(model, CONTRIBUTES[family].format(layer), pair) for layer in layers] for pair in pairs]
    assert checks.relative(found.effects, torch.tensor(expected)) < 1e-4


def test_a_group_and_a_layer_are_the_joint_effects_of_their_heads() -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()
    found = pinpoint.locate_nodes(model, None, pairs)
    for node, effect in zip(found.nodes, found.effects.unbind(dim=1), strict=True):
        if node.kind in ("groups", "attention") and node.layer == 1:
            heads = range(6) if node.kind == "attention" else range(3 * node.unit, 3 * node.unit + 3)
            together = pinpoint.locate(model, None, pairs, given=[Head(1, head) for head in heads]).reference
            assert torch.allclose(together - found.reference, effect, atol=1e-5)


def test_heads_score_alike_alone_and_beside_other_nodes() -> None:
    for family in ("llama-gqa", "jamba"):
        model, pairs = tiny(family), checks.pairs()
        alone = pinpoint.locate(model, None, pairs)
        beside = pinpoint.locate_nodes(model, None, pairs, rows_per_chunk=40).heads()
        assert checks.relative(beside.effects, alone.effects) < 1e-5
        assert beside.layers == alone.layers


@pytest.mark.parametrize("family", ["llama-gqa", "mixtral", "bloom", "jamba"])
@pytest.mark.parametrize("rows_per_chunk", [1, 4096])
def test_patching_the_reference_into_itself_is_exactly_zero(family: str, rows_per_chunk: int) -> None:
    same = [dataclasses.replace(pair, counterfactual=pair.reference) for pair in checks.pairs()]
    with pytest.warns(PinpointWarning, match="same reference and counterfactual"):
        found = pinpoint.locate_nodes(tiny(family), None, same, rows_per_chunk=rows_per_chunk)
    assert torch.equal(found.effects, torch.zeros_like(found.effects))


@pytest.mark.parametrize("side", ["left", "right"])
def test_batching_chunking_and_padding_do_not_change_a_score(side: str) -> None:
    model, pairs = tiny("llama-gqa"), [*checks.pairs(), *checks.alike()]
    plain = pinpoint.locate_nodes(model, None, pairs)
    other = pinpoint.locate_nodes(model, None, pairs, batch_size=2, rows_per_chunk=7, padding_side=side)
    assert checks.relative(other.effects, plain.effects) < 1e-5


def test_beyond_given_heads_sweep_and_oracle_agree() -> None:
    model, pairs, given = tiny("gemma2"), checks.alike(), [Head(0, 2), Head(2, 1)]
    exact = pinpoint.locate_nodes(model, None, pairs, engine="naive", given=given)
    fast = pinpoint.locate_nodes(model, None, pairs, given=given)
    assert checks.relative(fast.effects, exact.effects) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("engine", [sweep, naive])
def test_an_engine_takes_nodes_in_any_order(engine: Engine) -> None:
    view, pairs = headed(tiny("llama-gqa")), [encode_pair(None, pair) for pair in checks.pairs()]
    batch = pad([pair.reference for pair in pairs] + [pair.counterfactual for pair in pairs], "left", view.device)
    nodes = view.nodes(KINDS)
    asked = (view, pairs, batch, metric_named("logit_diff"), 4096, HeadSet())
    forward, backward = engine(*asked, nodes), engine(*asked, nodes[::-1])
    assert checks.relative(backward.effects.flip(1), forward.effects) < 1e-5
    mlps = [i for i, node in enumerate(nodes) if node.kind == "mlps"]
    assert forward.effects[:, mlps].abs().min() > 0


def test_a_hybrid_has_mlps_where_it_has_no_heads() -> None:
    nodes = headed(tiny("jamba")).nodes(("attention", "mlps"))
    assert list(map(str, nodes)) == ["L1.ATT", "L0.MLP", "L1.MLP", "L2.MLP"]


@pytest.mark.parametrize("text", ["L3.H5", "L0.G1", "L12.ATT", "L7.MLP"])
def test_a_node_prints_and_reads(text: str) -> None:
    assert str(Node.parse(text)) == text


@pytest.mark.parametrize("text", ["L3", "L3.ATT1", "L3.X1", "L3.G", "H5"])
def test_what_is_no_node_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r'is not a node. Write "L3.H5"'):
        Node.parse(text)


def test_kinds_of_nodes_are_checked() -> None:
    assert checked_kinds(["mlps", "heads", "mlps"]) == ("heads", "mlps")
    with pytest.raises(ConfigError, match=r"nodes: 'layers' is not a kind of node. Use some of heads, groups"):
        pinpoint.locate_nodes(tiny("llama-gqa"), None, checks.pairs(), nodes=["layers"])
    with pytest.raises(ConfigError, match="no kind of node is given"):
        checked_kinds([])


def test_scores_of_nodes_rank_and_become_a_table() -> None:
    kinds: tuple[Kind, ...] = ("heads", "heads", "mlps")
    nodes = tuple(Node(kind, 1, i) for i, kind in enumerate(kinds))
    scores = NodeScores(nodes, torch.tensor([[1.0, -2.0, -3.0], [1.0, -4.0, -5.0]]), torch.zeros(2), "m", "e", (2, 2))
    assert list(map(str, scores.top(2))) == ["L1.MLP", "L1.H1"]
    assert list(map(str, scores.ranking("heads"))) == ["L1.H1", "L1.H0"]
    assert scores.standard_error[1].item() == pytest.approx(1.0)
    assert scores.of([1]).mean.tolist() == [1.0, -4.0, -5.0]
    assert scores.heads().effects[0].tolist() == [[0.0, 0.0], [1.0, -2.0]] and scores.heads().layers == (1,)
    assert list(scores.to_pandas()["node"]) == ["L1.MLP", "L1.H1", "L1.H0"]
    assert repr(scores) == "<NodeScores: 3 nodes (direct effect by path patching, e), m, 2 pairs>"
    assert "path patching" in scores._repr_html_()
    drawn = {trace.name: (list(trace.text), list(trace.y)) for trace in scores.plot().data}
    assert drawn == {"mlps": (["L1.MLP"], [-4.0]), "heads": (["L1.H1", "L1.H0"], [-3.0, 1.0])}
    with pytest.raises(ConfigError, match="heads were not among the nodes"):
        scores.without("heads").heads()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_an_mlp_puts_out_is_its_contribution_and_not_the_residual_stream(family: str) -> None:
    model = tiny(family)
    view = headed(model)
    first = view.nodes(["mlps"])[0].layer
    parts = {**view.mlp_outputs(first), **view.mixers(first)}

    def nothing(_key: object, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)

    out_projs = {layer: module for layer, module in view.out_projs().items() if layer == first}
    with (
        torch.no_grad(),
        edited_inputs(out_projs, nothing),
        edited_outputs(parts, nothing),
        seen_outputs({0: view.layers[first]}) as seen,
    ):
        view.backbone(torch.tensor([[3, 4, 5]]), use_cache=False)
    assert not torch.allclose(seen[0][0, 0], seen[0][0, 1], atol=1e-3), "with all else silenced, tokens pass through"
