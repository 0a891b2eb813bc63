"""Finding the heads that cause a behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pinpoint.artifacts import Workspace
    from pinpoint.data import ContrastPair
    from pinpoint.heads import Head, HeadScores
    from pinpoint.locate._agreement import Agreement, ScoredTwice, agreement
    from pinpoint.locate._layout_check import try_layout
    from pinpoint.locate._set_results import FoundSet, Joint, SetStep, SetSteps
    from pinpoint.locate._sets import find_set, greedy_set, joint_effect
    from pinpoint.nodes import NodeScores
    from pinpoint.processes import Processes
    from pinpoint.progress import Progress

__all__ = [
    "Agreement",
    "FoundSet",
    "Joint",
    "ScoredTwice",
    "SetStep",
    "SetSteps",
    "agreement",
    "find_set",
    "greedy_set",
    "joint_effect",
    "locate",
    "locate_nodes",
    "locate_paths",
    "try_layout",
]

_HOMES = {
    **dict.fromkeys(("Agreement", "ScoredTwice", "agreement"), "pinpoint.locate._agreement"),
    **dict.fromkeys(("FoundSet", "Joint", "SetStep", "SetSteps"), "pinpoint.locate._set_results"),
    **dict.fromkeys(("find_set", "greedy_set", "joint_effect"), "pinpoint.locate._sets"),
    "try_layout": "pinpoint.locate._layout_check",
}


def __getattr__(name: str) -> Any:
    """Imports torch only when something needs it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pinpoint.locate' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def locate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    *,
    method: str = "path",
    positions: str = "last",
    metric: str = "logit_diff",
    engine: str = "sweep",
    batch_size: int = 32,
    rows_per_chunk: int = 4096,
    padding_side: Literal["left", "right"] = "left",
    given: Sequence[Head] = (),
    means: Float[Tensor, "layer head d_head"] | None = None,
    seed: int = 0,
    noise_pairs: int = 0,
    progress: Progress | None = None,
    workspace: Workspace | None = None,
    processes: Processes | None = None,
) -> HeadScores:
    """Scores every attention head; by default by path patching, head to logits.

    For each head, the reference prompt is run with the head's output z (its slice of the out projection's
    input) at the last position replaced by its value on the counterfactual prompt, every other attention
    output kept at its reference value, and MLPs, norms and unembedding recomputed: the head's direct effect
    (Chen et al. 2024, section 3; Wang et al. 2022; Goldowsky-Dill et al. 2023). The other methods are:

    - "activation": activation patching, z replaced at `positions` and everything after it recomputed, later
      attention included: the head's total effect, exactly (Vig et al. 2020; Meng et al. 2022).
    - "attribution": attribution patching, an estimate of the same total effect by the metric's gradient at the
      reference (Nanda 2023; Syed et al. 2023; on its errors, Kramár et al. 2024). `pinpoint.agreement`
      measures how good it is.
    - "knockout": the head's z put to its mean at every position of the reference, everything after it recomputed: what
      the head does there, exactly, whatever the counterfactual is (mean ablation: Wang et al. 2022, section 2).
    - "probe": how often a linear probe on z at the last position tells reference from counterfactual, on pairs of
      groups that it was not trained on (five folds). Not an effect: a head may hold what no one reads.
    - "random": a number drawn for each head, from `seed`.

    Args:
        model: a causal language model of a known architecture.
        tokenizer: its tokenizer; may be None where prompts and answers are token ids.
        pairs: the contrast pairs.
        method: "path", "activation", "attribution", "knockout", "probe" or "random".
        positions: where "activation" and "attribution" replace z: "last"; "suffix" (every position of the reference
            from its first difference on, the prompts aligned at their ends); or "all" (prompts of equal length).
        metric: "logit_diff" (mean logit of the unwanted minus of the wanted first tokens), "log_odds" (the
            same with log-sum-exp over each set), "paper_share" (the published ratio of raw logits), "logprob_diff"
            (log-probability of the unwanted minus of the wanted answers, over all their tokens; of several on a side,
            the probabilities add up) or "mean_logprob_diff" (the same per token; of several on a side, the mean).
            Under the last two each answer follows the prompts, and a head is patched wherever a token of it is
            predicted; under "activation" and "attribution" at `positions` of the prompts too, under "knockout" at all.
        engine: "sweep" (exact; for "path" about two forward passes, for "activation" the patched tokens of each head,
            going on from a cache, for "knockout" the blocks from the head's own on) or "naive" (brute force, one whole
            pass per head).
        batch_size: pairs per forward pass (as many as have so many measured positions, where answers are measured
            whole); under "activation", patched prompts per forward pass; under "knockout", heads of a layer that are
            knocked out in one, each alone. Does not change the scores.
        rows_per_chunk: patched rows per call of a block at the most, under "path"; fewer where half of the memory that
            is free would not take them. Does not change the scores.
        padding_side: side that shorter prompts are padded on, under "path". Does not change the scores.
        given: heads that are patched throughout, under "path". Effects are then what a head adds to theirs, and
            `reference` is the metric with them patched; so sets of heads that stand in for one another come to light.
        means: what heads put out when they are knocked out, for "knockout" and no other method: as a rule their means
            over neutral dialogues, `pinpoint.measure.head_means`, which `pinpoint.verify` puts there too.
        seed: of the folds of "probe", and of "random".
        noise_pairs: pairs that are scored once more in the next wider dtype, weights widened module by module, so that
            the scores carry their noise floor: what rounding alone does to them. 0 leaves it unmeasured, as do methods
            without effects, and weights that are quantised or offloaded.
        progress: told of each batch.
        workspace: keeps the scores of each batch; a call with the same arguments goes on from what it holds.
            One workspace is for one model.
        processes: what `pinpoint.processes.join` gave: each of them scores some of the batches, and all get all scores.

    Returns:
        Effects per pair, layer and head; the most negative heads cause the unwanted behaviour.

    Raises:
        InputError: a head of `given` is not the model's, `means` are not of its shape, a pair cannot be encoded or is
            longer than the model reads, `positions` cannot be had of a pair, or a score is not finite.
        ArchitectureError: the model's architecture is not known.
        ConfigError: method, positions, metric or engine are unknown or do not go together.

    Warns:
        PinpointWarning: the contrast looks empty, or the noise floor cannot be measured.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> scores = pinpoint.locate(model, tokenizer, pairs)
        >>> print(*scores.top(2))
        L0.H3 L0.H2
    """
    from pinpoint.heads import HeadSet
    from pinpoint.locate._ask import Ask
    from pinpoint.locate._locate import score_heads

    ask = Ask(
        method=method,
        positions=positions,
        metric=metric,
        engine=engine,
        batch_size=batch_size,
        rows_per_chunk=rows_per_chunk,
        padding_side=padding_side,
        given=HeadSet(given),
        means=means,
        seed=seed,
        noise_pairs=noise_pairs,
    )
    return score_heads(model, tokenizer, pairs, ask, progress, workspace, processes)


def locate_nodes(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    *,
    nodes: Sequence[str] = ("heads", "groups", "attention", "mlps"),
    metric: str = "logit_diff",
    engine: str = "sweep",
    batch_size: int = 32,
    rows_per_chunk: int = 4096,
    padding_side: Literal["left", "right"] = "left",
    given: Sequence[Head] = (),
    noise_pairs: int = 0,
    progress: Progress | None = None,
    workspace: Workspace | None = None,
    processes: Processes | None = None,
) -> NodeScores:
    """Scores heads and larger parts of a model by path patching, part to logits, in one sweep.

    As `pinpoint.locate` does for heads: the node's output at the last position takes its counterfactual value, all
    other attention outputs stay, and what comes after is recomputed. Nodes are heads; "groups" of heads that share a
    key/value head; "attention", all heads of a layer at once; and "mlps", everything in a block that holds weights
    and is neither attention nor state space: dense, gated or routed.

    Args:
        model: as for `pinpoint.locate`.
        tokenizer: as for `pinpoint.locate`.
        pairs: the contrast pairs.
        nodes: the kinds of nodes.
        metric: as for `pinpoint.locate`.
        engine: "sweep" or "naive" (one forward pass per node).
        batch_size: as for `pinpoint.locate`.
        rows_per_chunk: as for `pinpoint.locate`.
        padding_side: as for `pinpoint.locate`.
        given: as for `pinpoint.locate`.
        noise_pairs: as for `pinpoint.locate`.
        progress: told of each batch.
        workspace: as for `pinpoint.locate`.
        processes: as for `pinpoint.locate`.

    Raises:
        InputError: as `pinpoint.locate` does.
        ArchitectureError: the model's architecture is not known.
        ConfigError: a kind of nodes, the metric or the engine is unknown.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> scores = pinpoint.locate_nodes(model, tokenizer, pairs, nodes=["attention", "mlps"])
        >>> print(*scores.top(2))
        L0.ATT L0.MLP
    """
    from pinpoint.heads import HeadSet
    from pinpoint.locate._ask import Ask
    from pinpoint.locate._locate import score
    from pinpoint.nodes import checked_kinds

    ask = Ask(
        kinds=checked_kinds(nodes),
        metric=metric,
        engine=engine,
        batch_size=batch_size,
        rows_per_chunk=rows_per_chunk,
        padding_side=padding_side,
        given=HeadSet(given),
        noise_pairs=noise_pairs,
    )
    return score(model, tokenizer, pairs, ask, progress, workspace, processes)


def locate_paths(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    receivers: Sequence[Head],
    *,
    through: Literal["q", "k", "v"] = "q",
    positions: str | None = None,
    metric: str = "logit_diff",
    engine: str = "sweep",
    batch_size: int = 32,
    noise_pairs: int = 0,
    progress: Progress | None = None,
    workspace: Workspace | None = None,
) -> HeadScores:
    """Scores every head as a sender to given heads: its effect on the logits through their queries, keys or values.

    The sender takes its counterfactual output while every other attention output stays at its reference value; MLPs
    and norms are recomputed; what the receivers then project is handed to them, all at once, in a pass that is
    otherwise the reference's. The receivers' outputs follow, and the MLPs, norms and unembedding after them; every
    other attention output, and the receivers' other two inputs, stay at their reference values (path patching after
    Wang et al. 2022, with all that lies off the paths frozen, as Goldowsky-Dill et al. 2023 define it).

    Through "q", one position matters: the measured one. Keys and values are read from every position, so senders are
    patched at all of `positions`, and what they change of keys or values there reaches the receivers at once.
    Under grouped-query attention a receiver's key and value are its group's; the group's other heads stay frozen.

    Args:
        model: as for `pinpoint.locate`.
        tokenizer: as for `pinpoint.locate`.
        pairs: the contrast pairs.
        receivers: the heads that the paths lead through.
        through: "q", "k" or "v".
        positions: where senders are patched, for "k" and "v": "suffix" (the default), "all" or "last", as for
            `pinpoint.locate`; before the first difference of the prompts there is nothing to exchange.
        metric: as for `pinpoint.locate`.
        engine: "sweep" (one decode step of two rows a sender, or as many tokens as are patched, from a cache) or
            "naive" (two whole passes a sender).
        batch_size: rows per forward pass. Does not change the scores.
        noise_pairs: as for `pinpoint.locate`.
        progress: told of each pair.
        workspace: as for `pinpoint.locate`.

    Returns:
        Effects per pair, layer and head; 0 for heads that no receiver comes after.

    Raises:
        InputError: as `pinpoint.locate` does; or there are no receivers.
        ArchitectureError: the architecture is not known, or its heads share parts of their keys.
        ConfigError: `through`, `positions`, metric or engine are unknown or do not go together.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`: the heads
        that reach the logits through the queries of L7.H6.

        >>> senders = pinpoint.locate_paths(model, tokenizer, pairs, [pinpoint.Head(7, 6)], through="q")
        >>> print(*senders.top(2))
        L0.H3 L0.H2
    """
    from pinpoint.errors import InputError
    from pinpoint.heads import HeadSet
    from pinpoint.locate._ask import Ask
    from pinpoint.locate._locate import score_heads

    if not receivers:
        raise InputError("there are no receivers.", mend="Give at least one head.")
    ask = Ask(
        positions=positions or ("last" if through == "q" else "suffix"),
        metric=metric,
        engine=engine,
        batch_size=batch_size,
        receivers=HeadSet(receivers),
        through=through,
        noise_pairs=noise_pairs,
    )
    return score_heads(model, tokenizer, pairs, ask, progress, workspace)
