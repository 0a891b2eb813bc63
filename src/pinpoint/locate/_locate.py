"""From contrast pairs to scores, by whichever method: what they share is here."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Workspace
from pinpoint.data import ContrastPair, EncodedPair, encode_pair, groups_of, pad
from pinpoint.errors import ConfigError, InputError, PinpointWarning
from pinpoint.heads import HeadScores
from pinpoint.locate._activation import activation
from pinpoint.locate._ask import ENGINES, Ask
from pinpoint.locate._attribution import attribution
from pinpoint.locate._baselines import folds_of, head_outputs, probed
from pinpoint.locate._dealt import ROWS, SETTING, batches, by_batch, halving, rows_with_room
from pinpoint.locate._knockout import check_means, knocked_out, naive_knocked_out
from pinpoint.locate._layout_check import try_layout
from pinpoint.locate._naive_paths import naive_paths
from pinpoint.locate._paths import paths
from pinpoint.locate._protocol import Effects
from pinpoint.locate._rounding import rounding
from pinpoint.measure import Metric, check_prompts, forced, metric_named
from pinpoint.memory import BatchSize
from pinpoint.models import PARTS, HeadedModel, headed
from pinpoint.nodes import Node, NodeScores
from pinpoint.processes import Processes
from pinpoint.progress import Progress, Silent
from pinpoint.reliability import Routing

_EMPTY_CONTRAST = 1e-3
# The metric of methods whose scores are none of logits.
_OWN_METRIC = {"probe": "accuracy", "random": "random"}


def _warn_if_empty(effects: Float[Tensor, "pair node"], ask: Ask, encoded: list[EncodedPair]) -> None:
    same = sum(pair.reference == pair.counterfactual for pair in encoded)
    if same and ask.means is None:
        warnings.warn(
            f"{same} of {len(encoded)} pairs have the same reference and counterfactual.",
            PinpointWarning,
            stacklevel=5,
        )
    elif effects.numel() and effects.abs().max() < _EMPTY_CONTRAST:
        warnings.warn(
            f"no head moves {ask.metric} by {_EMPTY_CONTRAST}: "
            f"{'the contrast' if ask.means is None else 'the knockout'} looks empty.",
            PinpointWarning,
            stacklevel=5,
        )


def _worker(
    view: HeadedModel, ask: Ask, metric: Metric, nodes: Sequence[Node], pad_id: int, sharing: int
) -> Callable[[Sequence[EncodedPair]], Effects]:
    """What scores some pairs, by methods whose effects on a pair do not depend on the other pairs.

    `sharing` processes share the machine's memory.
    """
    if ask.receivers:
        common = (metric, nodes, ask.receivers, PARTS[ask.through], ask.positions)
        if ask.engine == "naive":
            return lambda some: naive_paths(view, some, *common)
        # A sender takes two rows; the reference one.
        senders_at_once = BatchSize(max(1, (ask.at_once.asked - 1) // 2), SETTING)
        return lambda some: paths(view, some, *common, senders_at_once)
    if ask.means is not None:
        known, knocked_at_once = (metric, nodes, ask.means), ask.at_once
        if ask.engine == "naive":
            return lambda some: naive_knocked_out(view, some, *known)
        return lambda some: knocked_out(view, some, *known, knocked_at_once)
    if ask.method == "activation":
        cached = ask.engine != "naive"
        # The reference takes one of the rows.
        heads_at_once = BatchSize(max(1, ask.at_once.asked - 1), SETTING)
        return lambda some: activation(view, some, metric, nodes, ask.positions, heads_at_once, cached=cached)
    sizes = ask.at_once, BatchSize.of(ask.rows_per_chunk, ROWS)
    if ask.method == "attribution":

        def estimated(some: Sequence[EncodedPair], _rows: int) -> Effects:
            return attribution(view, some, metric, nodes, ask.positions)

        return halving(*sizes, nodes, estimated, None)

    def path(some: Sequence[EncodedPair], rows: int) -> Effects:
        runs = forced(some)
        prompts = [run.reference for run in runs] + [run.counterfactual for run in runs]
        batch = pad(prompts, ask.padding_side, view.device, pad_id)
        return ENGINES[ask.engine](view, list(some), batch, metric, rows, ask.given, nodes)

    room = partial(rows_with_room, view, nodes, sharing)
    return halving(*sizes, nodes, path, None if ask.engine == "naive" else room)


def _baseline(
    view: HeadedModel,
    encoded: list[EncodedPair],
    groups: list[str],
    ask: Ask,
    nodes: Sequence[Node],
    progress: Progress,
) -> Effects:
    """Scores by methods that have no effects: all pairs at once, for a probe learns from the others."""
    if ask.method == "random":
        order = torch.rand(len(nodes), generator=torch.Generator().manual_seed(ask.seed))
        progress.advance(len(encoded))
        return Effects(order.expand(len(encoded), -1).clone(), torch.zeros(len(encoded)))
    folds = folds_of(groups, ask.seed)
    batches = []
    for some, found in ask.at_once.over(encoded, lambda some: head_outputs(view, some)):
        batches.append(found)
        progress.advance(len(some))
    right = {
        layer: probed(torch.cat([batch[layer] for batch in batches], dim=1), folds) for layer in view.attention_layers
    }
    scores = torch.stack([right[node.layer][:, node.unit] for node in nodes], dim=1)
    return Effects(scores, torch.full((len(encoded),), 0.5))


@torch.no_grad()
def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    ask: Ask,
    progress: Progress | None = None,
    workspace: Workspace | None = None,
    processes: Processes | None = None,
) -> NodeScores:
    """Scores every node that is asked for; see `pinpoint.locate` and `pinpoint.locate_nodes`."""
    if not pairs:
        raise InputError("there are no contrast pairs.", mend="Give at least one ContrastPair.")
    progress = progress or Silent()
    metric = metric_named(ask.metric)
    ask.check()
    view = headed(model)
    try_layout(view)
    view.check([*ask.given, *ask.receivers])
    if ask.receivers:
        view.projection_parts(ask.receivers[0].layer)
    if ask.means is not None:
        check_means(view, ask.means)
    nodes = view.nodes(ask.kinds)
    if lacking := [kind for kind in ask.kinds if kind not in {node.kind for node in nodes}]:
        raise ConfigError(f"this model has no {lacking[0]} that can be patched.", where="nodes", mend="Leave them out.")
    encoded = [encode_pair(tokenizer, pair, continued=metric.over is not None) for pair in pairs]
    check_prompts(model, encoded)
    engine = ask.engine_name
    pad_id = getattr(tokenizer, "pad_token_id", None) or 0
    groups = groups_of(pairs)
    training, rounded, processes = model.training, None, processes or Processes()
    model.eval()
    progress.start(f"{ask.method}: {len(nodes)} {' and '.join(ask.kinds)} ({engine})", len(pairs))
    began = time.perf_counter()
    try:
        if ask.method in _OWN_METRIC:
            found = _baseline(view, encoded, list(groups), ask, nodes, progress)
        else:
            work = _worker(view, ask, metric, nodes, pad_id, processes.beside)
            dealt = batches(encoded, ask.at_once.asked, processes.count, one_by_one=ask.one_by_one)
            found = by_batch(dealt, ask.names_work, work, len(nodes), progress, workspace, processes)
        seconds = time.perf_counter() - began
        if ask.noise_pairs and ask.method not in _OWN_METRIC and processes.first:
            some = slice(ask.noise_pairs)
            rounded = rounding(view, encoded[some], Effects(found.effects[some], found.reference[some]), work)
    finally:
        if training:
            model.train()
    if not found.effects.isfinite().all():
        pair = int((~found.effects.isfinite().all(dim=1)).nonzero()[0])
        raise InputError(
            "a score is not finite: the model's weights or logits hold NaN or infinity.",
            where=f"pair {pair}",
            mend="Give another dtype, such as float32; if that is the same, load the model anew.",
        )
    name = _OWN_METRIC.get(ask.method, ask.metric)
    if ask.method not in _OWN_METRIC:
        _warn_if_empty(found.effects, ask, encoded)
    shape = (view.n_layers, view.n_heads)
    routing = _routing(found)
    return NodeScores(
        tuple(nodes), found.effects, found.reference, name, engine, shape, seconds, groups, rounded, routing
    )


def _routing(found: Effects) -> Routing | None:
    """What became of experts, where some were chosen; with a warning where rounding had a say."""
    if found.routing is None or not found.routing[:, 0].any():
        return None
    routing = Routing(*found.routing.sum(dim=0).tolist())
    if routing.others or routing.ties:
        warnings.warn(f"{routing}: scores may rest on rounding.", PinpointWarning, stacklevel=5)
    return routing


def score_heads(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    ask: Ask,
    progress: Progress | None = None,
    workspace: Workspace | None = None,
    processes: Processes | None = None,
) -> HeadScores:
    """Scores all heads; see `pinpoint.locate`."""
    found = score(model, tokenizer, pairs, ask, progress, workspace, processes).heads()
    through, receivers = ask.through, tuple(ask.receivers)
    positions = "all" if ask.method == "knockout" else ask.positions
    return replace(found, method=ask.method, positions=positions, through=through, receivers=receivers)
