"""From contrast pairs to scores, by whichever method: what they share is here."""

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Workspace
from pinpoint.config import misfit
from pinpoint.data import ContrastPair, EncodedPair, Side, encode_pair, pad
from pinpoint.errors import ConfigError, InputError, PinpointWarning
from pinpoint.heads import HeadScores, HeadSet
from pinpoint.locate._activation import activation
from pinpoint.locate._attribution import attribution
from pinpoint.locate._baselines import folds_of, head_outputs, probed
from pinpoint.locate._naive import naive
from pinpoint.locate._naive_paths import naive_paths
from pinpoint.locate._paths import paths
from pinpoint.locate._protocol import Effects, Engine
from pinpoint.locate._sweep import sweep
from pinpoint.locate._trial import try_layout
from pinpoint.measure import Metric, forced, metric_named, site_counts
from pinpoint.memory import BatchSize
from pinpoint.models import PARTS, HeadedModel, headed
from pinpoint.nodes import Kind, Node, NodeScores
from pinpoint.processes import Processes
from pinpoint.progress import Progress, Silent

ENGINES: dict[str, Engine] = {"sweep": sweep, "naive": naive}
METHODS = ("path", "activation", "attribution", "probe", "random")
POSITIONS = ("last", "suffix", "all")

_EMPTY_CONTRAST = 1e-3
_SETTING = "locate.batch_size"
# What HeadScores says of methods that have no choice of engines, and their metric where it is no metric of logits.
_BY_METHOD = {"activation": "cached", "attribution": "gradient", "probe": "ridge", "random": "seeded"}
_OWN_METRIC = {"probe": "accuracy", "random": "random"}


@dataclass(frozen=True)
class Ask:
    """What is asked of every pair; see `pinpoint.locate`, and where there are receivers, `pinpoint.locate_paths`."""

    method: str = "path"
    positions: str = "last"
    kinds: tuple[Kind, ...] = ("heads",)
    metric: str = "logit_diff"
    engine: str = "sweep"
    batch_size: int = 32
    rows_per_chunk: int = 4096
    padding_side: Side = "left"
    given: HeadSet = field(default_factory=HeadSet)
    seed: int = 0
    receivers: HeadSet = field(default_factory=HeadSet)
    through: str = ""

    def check(self) -> None:
        """Refuses what is unknown, and what does not go together.

        Raises:
            ConfigError: names the setting.
        """
        for name, known in (("engine", tuple(ENGINES)), ("method", METHODS), ("positions", POSITIONS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name} {value!r} is unknown.", mend=f"Use one of {', '.join(known)}.")
        if self.receivers:
            if self.through not in PARTS:
                raise ConfigError(f"through {self.through!r} is unknown.", mend=f"Use one of {', '.join(PARTS)}.")
            if self.through == "q" and self.positions != "last":
                raise ConfigError(
                    f"positions {self.positions!r} goes with k and v: a query acts on its own position alone."
                )
        elif found := misfit(self.method, self.positions, self.engine, self.kinds, self.metric):
            raise ConfigError(f"{found}.")
        if self.given and self.method != "path":
            raise ConfigError(f"heads can be given under method 'path' alone, not under {self.method!r}.")

    @property
    def names_work(self) -> tuple[object, ...]:
        """What the effects on a pair depend on, beside the pair and the model."""
        path = (self.receivers, self.through) if self.receivers else ()
        return (self.metric, self.engine, self.given, self.method, self.positions, self.kinds, *path)

    @property
    def one_by_one(self) -> bool:
        """Whether rows fill a forward pass with a single pair."""
        return self.method == "activation" or bool(self.receivers)

    @property
    def engine_name(self) -> str:
        """What did the work, in scores."""
        if self.engine == "naive":
            return "naive"
        return "cached" if self.receivers else _BY_METHOD.get(self.method, self.engine)


def _named(pairs: list[EncodedPair], *more: object) -> str:
    """A name that only equal work has, on one model."""
    return hashlib.sha256(json.dumps([pairs, *more], default=str).encode()).hexdigest()[:24]


def _check_lengths(model: PreTrainedModel, encoded: list[EncodedPair]) -> None:
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for number, pair in enumerate(encoded):
        longest = max(max(len(run.reference), len(run.counterfactual)) for run in forced([pair]))
        if limit is not None and longest > limit:
            what = "a prompt with its continuation" if pair.continuations else "a prompt"
            raise InputError(
                f"{what} has {longest} tokens, the model reads {limit}.",
                where=f"pair {number}",
                mend="Drop or shorten it: cutting it would lose the challenge.",
            )


def _warn_if_empty(effects: Float[Tensor, "pair node"], metric: str, encoded: list[EncodedPair]) -> None:
    same = sum(pair.reference == pair.counterfactual for pair in encoded)
    if same:
        warnings.warn(
            f"{same} of {len(encoded)} pairs have the same reference and counterfactual.",
            PinpointWarning,
            stacklevel=5,
        )
    elif effects.abs().max() < _EMPTY_CONTRAST:
        warnings.warn(
            f"no head moves {metric} by {_EMPTY_CONTRAST}: the contrast looks empty.",
            PinpointWarning,
            stacklevel=5,
        )


def _worker(
    view: HeadedModel, ask: Ask, metric: Metric, nodes: Sequence[Node], pad_id: int
) -> Callable[[Sequence[EncodedPair]], Effects]:
    """What scores some pairs, by methods whose effects on a pair do not depend on the other pairs."""
    if ask.receivers:
        common = (metric, nodes, ask.receivers, PARTS[ask.through], ask.positions)
        if ask.engine == "naive":
            return lambda some: naive_paths(view, some, *common)
        return lambda some: paths(view, some, *common, ask.batch_size)
    if ask.method == "activation":
        cached = ask.engine != "naive"
        # The reference takes one of the rows.
        heads_at_once = BatchSize(max(1, ask.batch_size - 1), _SETTING)
        return lambda some: activation(view, some, metric, nodes, ask.positions, heads_at_once, cached=cached)
    if ask.method == "attribution":
        return _halving(ask, lambda some, _: attribution(view, some, metric, nodes, ask.positions))

    def path(some: Sequence[EncodedPair], rows: int) -> Effects:
        runs = forced(some)
        prompts = [run.reference for run in runs] + [run.counterfactual for run in runs]
        batch = pad(prompts, ask.padding_side, view.device, pad_id)
        return ENGINES[ask.engine](view, list(some), batch, metric, rows, ask.given, nodes)

    return _halving(ask, path)


def _halving(
    ask: Ask, work: Callable[[Sequence[EncodedPair], int], Effects]
) -> Callable[[Sequence[EncodedPair]], Effects]:
    """Does a batch in parts where the whole does not fit the memory."""
    at_once = BatchSize(ask.batch_size, _SETTING)

    def fitting(some: Sequence[EncodedPair]) -> Effects:
        # What does not fit may be the rows of a block's call: they get fewer as the pairs do.
        parts = at_once.over(
            some, lambda part: work(part, max(1, ask.rows_per_chunk * at_once.now // at_once.asked)), _sites
        )
        return Effects(*map(torch.cat, zip(*(found for _, found in parts), strict=True)))

    return fitting


def _sites(pair: EncodedPair) -> int:
    return site_counts([pair])[0]


def _batches(encoded: list[EncodedPair], ask: Ask, processes: int) -> list[list[EncodedPair]]:
    """As many pairs at once as have `batch_size` measured positions, or each process's share; one at the least."""
    if ask.one_by_one:
        return [[pair] for pair in encoded]
    counts = site_counts(encoded)
    most = min(ask.batch_size, math.ceil(sum(counts) / processes))
    batches: list[list[EncodedPair]] = []
    room = 0
    for pair, count in zip(encoded, counts, strict=True):
        if not batches or count > room:
            batches.append([])
            room = most
        batches[-1].append(pair)
        room -= count
    return batches


def _by_batch(
    encoded: list[EncodedPair],
    ask: Ask,
    work: Callable[[list[EncodedPair]], Effects],
    nodes: int,
    progress: Progress,
    workspace: Workspace | None,
    processes: Processes,
) -> Effects:
    """Scores as many batches at a time as there are processes; the first process keeps each."""
    batches = _batches(encoded, ask, processes.count)
    space = workspace if processes.first else None
    parts = [f"{_named(some, *ask.names_work)}.safetensors" for some in batches]
    kept = processes.from_first([space is not None and space.has(part) for part in parts])
    found: dict[int, Effects] = {}
    for number in (number for number, there in enumerate(kept) if there):
        own = _read(space, parts[number]) if space is not None else None
        found[number] = _exchanged(own, len(batches[number]), nodes, 0, processes)
        progress.advance(len(batches[number]))
    left = [number for number, there in enumerate(kept) if not there]
    for start in range(0, len(left), processes.count):
        at_once = left[start : start + processes.count]
        ours = work(batches[at_once[processes.rank]]) if processes.rank < len(at_once) else None
        for owner, number in enumerate(at_once):
            own = ours if owner == processes.rank else None
            found[number] = _exchanged(own, len(batches[number]), nodes, owner, processes)
            if space is not None:
                space.write_tensors(parts[number], found[number]._asdict(), {})
            progress.advance(len(batches[number]))
    results = [found[number] for number in range(len(batches))]
    return Effects(*(torch.cat(tensors) for tensors in zip(*results, strict=True)))


def _read(space: Workspace, part: str) -> Effects:
    tensors = space.read_tensors(part)[0]
    return Effects(tensors["effects"], tensors["reference"])


def _exchanged(own: Effects | None, pairs: int, nodes: int, owner: int, processes: Processes) -> Effects:
    """The effects that process `owner` has of a batch."""
    if own is None:
        own = Effects(torch.empty(pairs, nodes), torch.empty(pairs))
    return Effects(*(processes.from_process(owner, tensor.contiguous()) for tensor in own))


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
    for some, found in BatchSize(ask.batch_size, _SETTING).over(encoded, lambda some: head_outputs(view, some)):
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
    nodes = view.nodes(ask.kinds)
    encoded = [encode_pair(tokenizer, pair, continued=metric.over is not None) for pair in pairs]
    _check_lengths(model, encoded)
    engine = ask.engine_name
    pad_id = getattr(tokenizer, "pad_token_id", None) or 0
    training = model.training
    model.eval()
    progress.start(f"{ask.method}: {len(nodes)} {' and '.join(ask.kinds)} ({engine})", len(pairs))
    began = time.perf_counter()
    try:
        if ask.method in _OWN_METRIC:
            groups = [pair.group or f"pair {i}" for i, pair in enumerate(pairs)]
            found = _baseline(view, encoded, groups, ask, nodes, progress)
        else:
            work = _worker(view, ask, metric, nodes, pad_id)
            found = _by_batch(encoded, ask, work, len(nodes), progress, workspace, processes or Processes())
    finally:
        model.train(training)
    seconds = time.perf_counter() - began
    if not found.effects.isfinite().all():
        raise InputError("a score is not finite: the model's weights or logits hold NaN or infinity.")
    name = _OWN_METRIC.get(ask.method, ask.metric)
    if ask.method not in _OWN_METRIC:
        _warn_if_empty(found.effects, name, encoded)
    shape = (view.n_layers, view.n_heads)
    return NodeScores(tuple(nodes), found.effects, found.reference, name, engine, shape, seconds)


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
    return replace(found, method=ask.method, positions=ask.positions, through=through, receivers=receivers)
