"""Holding a layout to a model that our tests do not hold it to, on one short pair, before anything rests on it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import torch
from torch import Tensor

from pinpoint.data import EncodedPair, pad
from pinpoint.errors import ArchitectureError, PinpointError, first_line
from pinpoint.heads import HeadSet
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs, seen_outputs
from pinpoint.locate._naive import naive
from pinpoint.locate._sweep import sweep
from pinpoint.measure import metric_named
from pinpoint.memory import out_of_memory
from pinpoint.models import HeadedModel, came_along, is_shipped
from pinpoint.nodes import Node

_TRIED: WeakSet[torch.nn.Module] = WeakSet()
_REACHED = 0.01  # of the most that a disturbance moves any head.
_HEADS = 4  # of the first and of the last layer: brute force costs a pass for each


@torch.no_grad()
def try_layout(view: HeadedModel) -> None:
    """Holds a layout to a model that the package's tests do not hold it to, once for each model.

    That is a layout of the user's, or a model whose class came with its checkpoint. With everything frozen that the
    layout says mixes positions, another first token must not reach the last position; and the sweep must give what a
    forward pass per head gives. Where nobody wrote the layout for this class, a head's rows of the projections must
    reach no other head.

    Raises:
        ArchitectureError: the layout names what is not there, or the model does not do what it says, or cannot run.
    """
    own = came_along(view.model)
    if (is_shipped(view.layout) and not own) or view.model in _TRIED:
        return
    view.check_places()
    training = view.model.training
    view.model.eval()
    try:
        with _running(view, own):
            _nothing_else_mixes(view)
            _engines_agree(view)
            if is_shipped(view.layout):
                _rows_are_the_heads(view)
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


@contextmanager
def _running(view: HeadedModel, own: bool) -> Iterator[None]:
    """Within the block, what a checkpoint's own code raises is one message."""
    try:
        yield
    except (PinpointError, OSError):
        raise
    except Exception as error:
        if not own or out_of_memory(error):
            raise
        raise ArchitectureError(
            f"the code that comes with it fails as it runs: {type(error).__name__}: {first_line(str(error))}",
            where=type(view.model).__name__,
            mend="It may be written for another version of transformers: give a model type that transformers has.",
        ) from error


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


def _rows_are_the_heads(view: HeadedModel) -> None:
    """Some heads' rows of each projection, disturbed, must change what those heads put out, and no other."""
    ids, per = _tokens(view, 1, 10).to(view.device), view.n_heads // view.n_kv_heads
    for layer in dict.fromkeys((view.attention_layers[0], view.attention_layers[-1])):
        for which, units in (("q", view.n_heads), ("k", view.n_kv_heads), ("v", view.n_kv_heads)):
            for unit in dict.fromkeys((0, min(1, units - 1), units - 1)):
                name, rows = view.projection_slice(layer, which, unit)
                moved = _moved(view, ids, layer, name, list(rows))
                if not moved or not moved <= ({unit} if which == "q" else {*range(unit * per, (unit + 1) * per)}):
                    raise _refused(
                        view,
                        f"the rows of {name} that would be {which} of head {unit} reach "
                        f"{', '.join(f'L{layer}.H{head}' for head in sorted(moved)) or 'no head'}.",
                        "Give a model type that transformers has; or register a Layout for a model type of its own: "
                        "docs/new-architectures.md.",
                    )


def _moved(view: HeadedModel, ids: Tensor, layer: int, name: str, rows: list[int]) -> set[int]:
    """The heads of a layer that put out something else when some rows of a projection do."""
    generator = torch.Generator().manual_seed(0)

    def disturbed(_key: str, y: Tensor) -> Tensor:
        y, noise = y.clone(), torch.randn(y.shape, generator=generator).to(y)
        y[..., rows] += noise[..., rows] * y.std()
        return y

    def outputs() -> Tensor:
        with captured_heads(view) as z:
            view.backbone(ids, use_cache=False)
        return z[layer].reshape(-1, view.n_heads, view.head_dim)

    plain = outputs()
    with edited_outputs({name: view.model.get_submodule(name)}, disturbed):
        change = (outputs() - plain).abs().amax(dim=(0, 2)).float()
    return {head for head in range(view.n_heads) if change[head] > _REACHED * change.max()}
