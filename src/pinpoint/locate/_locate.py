"""Path patching over all heads: from contrast pairs to scores."""

import hashlib
import json
import time
import warnings
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Workspace
from pinpoint.data import ContrastPair, EncodedPair, Side, encode_pair, pad
from pinpoint.errors import ConfigError, InputError, PinpointWarning
from pinpoint.heads import Head, HeadScores, HeadSet
from pinpoint.locate._naive import naive
from pinpoint.locate._protocol import Effects, Engine
from pinpoint.locate._sweep import sweep
from pinpoint.measure import metric_named
from pinpoint.models import headed
from pinpoint.progress import Progress, Silent

ENGINES: dict[str, Engine] = {"sweep": sweep, "naive": naive}

_EMPTY_CONTRAST = 1e-3


def _engine_named(name: str) -> Engine:
    if name not in ENGINES:
        raise ConfigError(f"engine {name!r} is unknown.", mend=f"Use one of {', '.join(ENGINES)}.")
    return ENGINES[name]


def _named(pairs: list[EncodedPair], *more: object) -> str:
    """A name that only equal work has, on one model."""
    return hashlib.sha256(json.dumps([pairs, *more], default=str).encode()).hexdigest()[:24]


def _check_lengths(model: PreTrainedModel, encoded: list[EncodedPair]) -> None:
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for number, pair in enumerate(encoded):
        longest = max(len(pair.reference), len(pair.counterfactual))
        if limit is not None and longest > limit:
            raise InputError(
                f"a prompt has {longest} tokens, the model reads {limit}.",
                where=f"pair {number}",
                mend="Drop or shorten it: cutting it would lose the challenge.",
            )


def _warn_if_empty(scores: HeadScores, encoded: list[EncodedPair]) -> None:
    same = sum(pair.reference == pair.counterfactual for pair in encoded)
    if same:
        warnings.warn(
            f"{same} of {len(encoded)} pairs have the same reference and counterfactual.",
            PinpointWarning,
            stacklevel=4,
        )
    elif scores.effects.abs().max() < _EMPTY_CONTRAST:
        warnings.warn(
            f"no head moves {scores.metric} by {_EMPTY_CONTRAST}: the contrast looks empty.",
            PinpointWarning,
            stacklevel=4,
        )


@torch.no_grad()
def locate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    *,
    metric: str,
    engine: str,
    batch_size: int,
    rows_per_chunk: int,
    padding_side: Side,
    given: Sequence[Head],
    progress: Progress | None,
    workspace: Workspace | None,
) -> HeadScores:
    """See `pinpoint.locate`."""
    if not pairs:
        raise InputError("there are no contrast pairs.", mend="Give at least one ContrastPair.")
    progress = progress or Silent()
    chosen, run = metric_named(metric), _engine_named(engine)
    view, held = headed(model), HeadSet(given)
    view.check(held)
    encoded = [encode_pair(tokenizer, pair) for pair in pairs]
    _check_lengths(model, encoded)
    pad_id = getattr(tokenizer, "pad_token_id", None) or 0
    training = model.training
    model.eval()
    progress.start(f"path patching {view.n_layers} x {view.n_heads} heads ({engine})", len(pairs))
    began = time.perf_counter()
    results = []
    try:
        for start in range(0, len(encoded), batch_size):
            some = encoded[start : start + batch_size]
            part = f"{_named(some, metric, engine, held)}.safetensors"
            if workspace is not None and workspace.has(part):
                kept = workspace.read_tensors(part)[0]
                results.append(Effects(kept["effects"], kept["reference"]))
                progress.advance(len(some))
                continue
            prompts = [pair.reference for pair in some] + [pair.counterfactual for pair in some]
            batch = pad(prompts, padding_side, view.device, pad_id)
            results.append(run(view, some, batch, chosen, rows_per_chunk, held))
            if workspace is not None:
                workspace.write_tensors(part, results[-1]._asdict(), {})
            progress.advance(len(some))
    finally:
        model.train(training)
    scores = HeadScores(
        torch.cat([result.effects for result in results]),
        torch.cat([result.reference for result in results]),
        metric,
        engine,
        time.perf_counter() - began,
        tuple(view.attention_layers),
    )
    if not scores.effects.isfinite().all():
        raise InputError("a score is not finite: the model's weights or logits hold NaN or infinity.")
    _warn_if_empty(scores, encoded)
    return scores
