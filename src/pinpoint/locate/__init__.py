"""Finding the heads that cause a behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pinpoint.artifacts import Workspace
    from pinpoint.data import ContrastPair
    from pinpoint.heads import Head, HeadScores
    from pinpoint.locate._mlps import mlp_effects
    from pinpoint.locate._sets import SetStep, greedy_set
    from pinpoint.progress import Progress

__all__ = ["SetStep", "greedy_set", "locate", "mlp_effects"]

_HOMES = {
    "SetStep": "pinpoint.locate._sets",
    "greedy_set": "pinpoint.locate._sets",
    "mlp_effects": "pinpoint.locate._mlps",
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
    metric: str = "logit_diff",
    engine: str = "sweep",
    batch_size: int = 32,
    rows_per_chunk: int = 4096,
    padding_side: Literal["left", "right"] = "left",
    given: Sequence[Head] = (),
    progress: Progress | None = None,
    workspace: Workspace | None = None,
) -> HeadScores:
    """Scores every attention head by path patching, head to logits.

    For each head, the reference prompt is run with the head's output z (its slice of the out projection's
    input) at the last position replaced by its value on the counterfactual prompt, every other attention
    output kept at its reference value, and MLPs, norms and unembedding recomputed: the head's direct effect
    (Chen et al. 2024, section 3; Wang et al. 2022; Goldowsky-Dill et al. 2023).

    Args:
        model: a causal language model of a known architecture.
        tokenizer: its tokenizer; may be None where prompts and answers are token ids.
        pairs: the contrast pairs.
        metric: "logit_diff" (mean logit of the unwanted minus of the wanted first tokens), "log_odds" (the
            same with log-sum-exp over each set), or "paper_share" (the published ratio of raw logits).
        engine: "sweep" (exact, about two forward passes) or "naive" (brute force, one pass per head).
        batch_size: pairs per forward pass. Does not change the scores.
        rows_per_chunk: patched rows per call of a block. Does not change the scores.
        padding_side: side that shorter prompts are padded on. Does not change the scores.
        given: heads that are patched throughout. Effects are then what a head adds to theirs, and `reference` is
            the metric with them patched; so sets of heads that stand in for one another come to light.
        progress: told of each batch.
        workspace: keeps the scores of each batch; a call with the same arguments goes on from what it holds.
            One workspace is for one model.

    Returns:
        Effects per pair, layer and head; the most negative heads cause the unwanted behaviour.

    Raises:
        InputError: a head of `given` is not the model's, a pair cannot be encoded or is longer than the model reads,
            or a score is not finite.
        ArchitectureError: the model's architecture is not known.
        ConfigError: the metric or the engine is unknown.

    Warns:
        PinpointWarning: the contrast looks empty.
    """
    from pinpoint.locate._locate import locate as run

    return run(
        model,
        tokenizer,
        pairs,
        metric=metric,
        engine=engine,
        batch_size=batch_size,
        rows_per_chunk=rows_per_chunk,
        padding_side=padding_side,
        given=given,
        progress=progress,
        workspace=workspace,
    )
