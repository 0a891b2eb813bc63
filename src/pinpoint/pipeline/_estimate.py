"""Operations and memory of locating, counted from a model's shapes, and what those of all stages are made of."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from pinpoint.config import CONTINUED, PATCHING, RunConfig, TuneConfig
from pinpoint.models import (
    HeadedModel,
    Packed,
    held_per_token,
    in_bits_packed,
    inner_width,
    residual_size,
    spared,
)

# Of a prompt of the built-in contrast, what both sides begin with alike.
_SHARED = 0.75
_ANSWERS = 16  # tokens that the sweep unembeds to
REPLY = 0.25  # of a training dialogue


class Workload(NamedTuple):
    """What a stage is to do.

    Attributes:
        pairs: contrast pairs, those of further contrasts among them.
        batch: pairs at a time; patched prompts, where those of a pair fill a pass.
        rows: patched rows at a time.
        tokens: length of a prompt.
        train_batch: dialogues that are trained on at once.
        steps: how many times so many.
        trained: parameters that train.
        method: how heads are located.
        positions: where they are patched.
        measured: positions of a pair that the metric looks at: the tokens of its answers, or one.
        answers: runs of a pair's prompts: one for each answer that is measured whole, or one.
        fetched: blocks are fetched as they run, from disk or from another memory.
        packed: how the weights of blocks are kept, where they are quantised.
        explained: tokens by which an explanation makes a training dialogue and its reply longer.
        mapped: embeddings stay in the checkpoint's files, which are mapped into memory: what is not read takes none.
    """

    pairs: int
    batch: int
    rows: int
    tokens: int
    train_batch: int
    steps: int
    trained: int
    method: str = "path"
    positions: str = "last"
    measured: int = 1
    answers: int = 1
    fetched: bool = False
    packed: Packed | None = None
    explained: int = 0
    mapped: bool = False

    @classmethod
    def of(cls, config: RunConfig, tokens: int, trained: int, answers: Sequence[int] = (1,)) -> "Workload":
        """The work that settings ask for; with as many training dialogues as `data.dialogues` has.

        Args:
            config: the settings.
            tokens: length of a prompt.
            trained: parameters that train.
            answers: tokens of each answer of a pair.
        """
        locate = config.locate
        fills = locate.method in ("activation", "knockout")  # a single pair does
        batch = locate.batch_size if fills else min(locate.batch_size, locate.pairs)
        return cls(
            round(locate.pairs * (1 + len(config.further_contrasts) / 2)),  # half of them again for each
            batch,
            locate.rows_per_chunk,
            tokens,
            config.tune.at_once,
            round(config.data.dialogues * config.tune.epochs / config.tune.at_once),
            trained,
            locate.method,
            locate.positions,
            *((sum(answers), len(answers)) if locate.metric in CONTINUED else (1, 1)),
            packed=None if config.bits is None else in_bits_packed(config.bits),
            explained=config.tune.explanation_tokens if config.tune.explanations != "none" else 0,
        )

    def trained_by(self, tune: TuneConfig, dialogues: int) -> "Workload":
        """The same work, but for how it is trained."""
        return self._replace(train_batch=tune.at_once, steps=round(dialogues * tune.epochs / tune.at_once))


class Cost(NamedTuple):
    """What a stage takes.

    Attributes:
        bytes: peak memory, weights included.
        flops: operations.
        layered: of the bytes, those that lie with the layers: weights, what is kept of each, and what trains.
        brute_force: times the operations that a forward pass per head would take; 1 for other stages.
        waiting: of the bytes, those of rows that wait in the host's memory where a card has no room for them.
    """

    bytes: int
    flops: float
    layered: int
    brute_force: float = 1.0
    waiting: int = 0


class Shape(NamedTuple):
    """Sizes that costs are made of: parameters of a block by part, widths of its activations."""

    attention: float  # of one block's attention, on average
    mlp: float  # of the rest of one block that a token passes through
    width: int
    inner: int
    heads_width: int
    vocabulary: int


def shape_of(view: HeadedModel) -> Shape:
    """The sizes of a model."""
    config = view.config
    blocks = sum(parameter.numel() for block in view.layers for parameter in block.parameters())
    attention = sum(p.numel() for layer in view.attention_layers for p in view.attention(layer).parameters())
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None) or 0
    experts = experts or getattr(config, "n_routed_experts", None) or 0
    active = (getattr(config, "num_experts_per_tok", None) or 1) / experts if experts else 1.0
    return Shape(
        attention / view.n_layers,
        active * (blocks - attention) / view.n_layers,
        int(config.hidden_size),
        inner_width(view),
        (view.n_heads + 2 * view.n_kv_heads) * view.head_dim,
        int(config.vocab_size),
    )


def weight_bytes(view: HeadedModel, size: int, found: Packed | None) -> float:
    """Bytes of all weights, as they are kept."""
    return size * sum(parameter.numel() for parameter in view.model.parameters()) - sum(spared(view, size, found))


def _unread(view: HeadedModel, tokens: int) -> int:
    """Numbers of the input embeddings that so many tokens leave unread, where nothing is unembedded by them too."""
    entering, leaving = view.model.get_input_embeddings(), view.model.get_output_embeddings()
    weight = entering.weight
    assert isinstance(weight, torch.Tensor)
    if leaving is None or leaving.weight is weight:
        return 0
    rows, width = weight.shape
    return int(max(0, rows - tokens) * width)


def weights_held(view: HeadedModel, size: int, work: Workload, tokens: int, *, whole: bool = False) -> float:
    """Bytes of the weights that are on the device at once.

    Args:
        view: the model.
        size: bytes of a number.
        work: what is done.
        tokens: that go through the model at once.
        whole: all of them stay there that were fetched.
    """
    total = weight_bytes(view, size, work.packed) - (size * _unread(view, tokens) if work.mapped else 0)
    if not work.fetched or whole:
        return total
    sizes = (size * sum(parameter.numel() for parameter in block.parameters()) for block in view.layers)
    blocks = [block - less for block, less in zip(sizes, spared(view, size, work.packed), strict=True)]
    return total - sum(blocks) + max(blocks)


def locate_cost(view: HeadedModel, dtype: torch.dtype, work: Workload) -> Cost:
    """Locating by the method asked for."""
    ways = {"path": _sweep_cost, "knockout": _knockout_cost}
    return ways.get(work.method, _other_cost)(view, dtype, work)


def _other_cost(view: HeadedModel, dtype: torch.dtype, work: Workload) -> Cost:
    """Whole passes, forward and backward, and for activation patching the patched tokens of a row for every head."""
    shape, size = shape_of(view), dtype.itemsize
    # A backward pass keeps what it fetched.
    weights = weights_held(view, size, work, work.batch * work.tokens, whole=work.method == "attribution")
    per_token = 2 * (shape.attention + shape.mlp) * view.n_layers
    nodes = len(view.attention_layers) * view.n_heads
    # A backward pass that stops at activations costs about what a forward one does.
    passes = {"activation": 2, "attribution": 3, "probe": 2, "random": 0}[work.method]
    # Methods without effects read the prompts alone.
    answers, measured = (work.answers, work.measured) if work.method in PATCHING else (1, 1)
    continued = measured - answers
    patched = answers * (1 if work.positions == "last" else (1 - _SHARED) * work.tokens) + continued
    rows = nodes if work.method == "activation" else 0
    unembedded = measured * 2 * shape.width * (shape.vocabulary if continued else _ANSWERS)
    per_pair = (passes * (answers * work.tokens + continued) + rows * patched) * per_token + rows * unembedded
    brute = (1 + nodes) * (answers * work.tokens + continued) * per_token

    per_layer = 3 * shape.width + max(3 * shape.inner, 2 * shape.heads_width)
    at_once = -(-max(work.batch, measured) // measured) * (answers * work.tokens + continued)
    if work.method == "attribution":
        held = at_once * view.n_layers * (6 * shape.width + 4 * shape.inner + 3 * shape.heads_width)
    elif work.method == "activation":
        cache = view.n_layers * 2 * view.n_kv_heads * view.head_dim
        # Answers are run one after the other, each from a cache of its own, which a pass appends to by copying.
        row = 2 * work.tokens * cache + patched / answers * per_layer + measured * shape.width
        held = round(work.batch * row + answers * work.tokens * cache)
    else:
        held = 2 * at_once * per_layer
    kept = held * size if work.method == "attribution" else 0
    times = brute / per_pair if per_pair else 1.0
    return Cost(int(weights + held * size), work.pairs * per_pair, int(weights + kept), times)


def _knockout_cost(view: HeadedModel, dtype: torch.dtype, work: Workload) -> Cost:
    """One pass over a prompt, then for every head, and a reference beside each layer's, what follows in its block."""
    shape, size, heads = shape_of(view), dtype.itemsize, view.n_heads
    block = 2 * (shape.attention + shape.mlp)
    continued = work.measured - work.answers
    tokens = work.answers * work.tokens + continued
    chunks = -(-heads // work.batch)
    blocks = sum((view.n_layers - 1 - layer) * block + 2 * shape.mlp for layer in view.attention_layers)
    unembedded = len(view.attention_layers) * (heads + chunks) * work.measured * 2 * shape.width
    per_pair = tokens * (view.n_layers * block + (heads + chunks) * blocks)
    per_pair += unembedded * (shape.vocabulary if continued else _ANSWERS)
    nodes = len(view.attention_layers) * heads
    brute = (1 + nodes) * tokens * view.n_layers * block

    rows = 1 + min(work.batch, heads)
    kept = tokens * view.n_layers * (shape.width + heads * view.head_dim)
    logits = rows * work.measured * shape.vocabulary * bool(continued)
    running = rows * work.tokens * held_per_token(view, size)
    weights = weights_held(view, size, work, work.batch * work.tokens)
    layered = weights + kept * size
    peak = layered + logits * size + running
    return Cost(int(peak), work.pairs * per_pair, int(layered), brute / per_pair)


def _sweep_cost(view: HeadedModel, dtype: torch.dtype, work: Workload) -> Cost:
    """One sweep: both prompts, then single-token rows of every head through the MLPs above it."""
    shape, size = shape_of(view), dtype.itemsize
    layers, heads = view.n_layers, view.n_heads
    weights = weights_held(view, size, work, work.batch * work.tokens)
    per_token = 2 * (shape.attention + shape.mlp) * layers
    rows = sum(1 + heads * sum(one <= layer for one in view.attention_layers) for layer in range(layers))
    nodes = len(view.attention_layers) * heads
    continued = work.measured - work.answers
    unembedded = shape.vocabulary if continued else _ANSWERS
    shared = _SHARED if view.shares_prefix and not work.fetched else 0.0
    passes = shared + 2 * work.answers * (1 - shared)
    per_pair = (passes * work.tokens + 2 * continued) * per_token + work.measured * rows * 2 * shape.mlp
    per_pair += work.measured * (1 + nodes) * 2 * shape.width * unembedded
    brute = (1 + nodes) * (work.answers * work.tokens + continued) * per_token

    # What both prompts begin with is run once, and its keys and values are kept, then copied. Where nothing is, they
    # run one after the other, unless blocks are fetched, which would have to come twice.
    at_once = max(work.batch, work.measured)
    tokens = -(-at_once // work.measured) * work.answers * work.tokens
    kept = tokens * (2 + shared) * layers * 2 * view.n_kv_heads * view.head_dim if shared else 0
    run = tokens * (max(shared, 2 * (1 - shared)) if shared else 1 + work.fetched)
    flying = at_once * (1 + nodes)
    rows_at_once = min(work.rows + at_once, flying)
    residual = residual_size(view, size)
    prompts = run * held_per_token(view, size, handed_back=work.fetched)
    rows_run = rows_at_once * held_per_token(view, size, residual, handed_back=work.fetched)
    running = max(prompts, flying * shape.width * residual + rows_run)
    waiting = running - max(prompts, rows_run)
    layered = weights + kept * size
    return Cost(int(layered + running), work.pairs * per_pair, int(layered), brute / per_pair, int(waiting))
