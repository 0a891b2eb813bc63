"""Holding a user's layout to the model itself, on one short pair of random tokens, before anything rests on it."""

import math
from weakref import WeakSet

import torch
from torch import Tensor

from pinpoint.data import EncodedPair, pad
from pinpoint.errors import ArchitectureError
from pinpoint.heads import HeadSet
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs, seen_outputs
from pinpoint.locate._naive import naive
from pinpoint.locate._sweep import sweep
from pinpoint.measure import metric_named
from pinpoint.models import HeadedModel, is_shipped
from pinpoint.nodes import Node

_TRIED: WeakSet[torch.nn.Module] = WeakSet()
_HEADS = 4  # of the first and of the last layer: brute force costs a pass for each


def try_layout(view: HeadedModel) -> None:
    """Holds a layout that did not come with the package to its model, once for each model.

    With everything frozen that the layout says mixes positions, another first token must not reach the last position;
    and the sweep must give what a forward pass per head gives.

    Raises:
        ArchitectureError: the layout names what is not there, or the model does not do what it says.
    """
    if is_shipped(view.layout) or view.model in _TRIED:
        return
    view.check_places()
    training = view.model.training
    view.model.eval()
    try:
        _nothing_else_mixes(view)
        _engines_agree(view)
    finally:
        view.model.train(training)
    _TRIED.add(view.model)


def _tokens(view: HeadedModel, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(int(view.config.vocab_size), shape, generator=generator)


def _refused(view: HeadedModel, what: str, mend: str) -> ArchitectureError:
    return ArchitectureError(
        f"the layout of {view.model.config.model_type!r} does not describe it: {what}",
        where=type(view.model).__name__,
        mend=mend,
    )


def _tolerance(x: Tensor) -> float:
    return math.sqrt(torch.finfo(x.dtype).eps)


def _nothing_else_mixes(view: HeadedModel) -> None:
    mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
    one = _tokens(view, 1, 10).to(view.device)
    other = one.clone()
    other[0, 0] = (one[0, 0] + 1) % int(view.config.vocab_size)
    with captured_heads(view) as z, seen_outputs(mixers) as mixed:
        plain = view.model(input_ids=one, use_cache=False).logits[0, -1]
    frozen = dict(z)
    with (
        edited_inputs(view.out_projs(), lambda layer, _z: frozen[layer]),
        edited_outputs(mixers, lambda key, _x: mixed[key]),
    ):
        moved = view.model(input_ids=other, use_cache=False).logits[0, -1]
    if (moved - plain).abs().max() > _tolerance(plain) * plain.abs().max():
        raise _refused(
            view,
            "with the heads frozen, an earlier token still reaches the last position.",
            "Name every module that mixes positions: the out projection of the attention, and other mixers.",
        )


def _engines_agree(view: HeadedModel) -> None:
    ids = _tokens(view, 4, 5).tolist()
    unwanted, wanted = list(dict.fromkeys((*ids[3], 0, 1)))[:2]
    pair = EncodedPair(ids[0] + ids[1], ids[0] + ids[2], [unwanted], [wanted])
    batch = pad([pair.reference, pair.counterfactual], "left", view.device)
    layers = dict.fromkeys((view.attention_layers[0], view.attention_layers[-1]))
    nodes = [Node("heads", layer, head) for layer in layers for head in range(min(_HEADS, view.n_heads))]
    asked = (view, [pair], batch, metric_named("logit_diff"), 4096, HeadSet(), nodes)
    exact = naive(*asked)
    try:
        fast = sweep(*asked)
    except (TypeError, ValueError, RuntimeError, AttributeError, AssertionError) as error:
        raise _refused(
            view, f"its blocks do not run on rows of one token ({error}).", "See adds_residual, mixers and tail."
        ) from error
    largest = max(float(exact.reference.abs().max()), float(exact.effects.abs().max()))
    apart = max(
        float((fast.reference - exact.reference).abs().max()), float((fast.effects - exact.effects).abs().max())
    )
    if apart > _tolerance(torch.empty(0, dtype=view.model.dtype)) * largest:
        raise _refused(
            view,
            f"the sweep is off by {apart / largest:.1%} of what brute force gives on a short pair.",
            "See adds_residual, mixers, mlp_outputs and tail.",
        )
