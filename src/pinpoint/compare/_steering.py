"""The vectors of two inference-time methods, from replies that are wanted and replies that are not."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours import PreferenceRow
from pinpoint.data import Messages, encode_chat, pad
from pinpoint.heads import Head
from pinpoint.interventions import Steering, captured_heads, seen_outputs
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel

_RIDGE = 1.0


def _tokens(tokenizer: PreTrainedTokenizerBase, prompt: Messages, reply: str, whole: bool) -> list[int]:
    said: list[int] = tokenizer(reply, add_special_tokens=False)["input_ids"]
    return encode_chat(tokenizer, prompt) + (said if whole else said[:1])


@torch.no_grad()
def _last(view: HeadedModel, rows: Sequence[list[int]], batch_size: int, *, heads: bool) -> dict[int, Tensor]:
    """Activations at the last token of each row: per layer [row head*d_head], or [row d_model] after each block."""

    def seen(some: Sequence[list[int]]) -> dict[int, Tensor]:
        blocks = dict(enumerate(view.layers))
        with captured_heads(view) if heads else seen_outputs(blocks) as found:
            view.backbone(**pad(some, "left", view.device).inputs(), use_cache=False)
        return {layer: x[:, -1].float() for layer, x in found.items()}

    parts = [found for _, found in BatchSize(batch_size, "evaluate.batch_size").over(rows, seen)]
    return {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}


def _both(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[PreferenceRow],
    batch_size: int,
    *,
    heads: bool,
    whole: bool,
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    chosen = [_tokens(tokenizer, row["prompt"], row["chosen"][0]["content"], whole) for row in rows]
    rejected = [_tokens(tokenizer, row["prompt"], row["rejected"][0]["content"], whole) for row in rows]
    return _last(view, chosen, batch_size, heads=heads), _last(view, rejected, batch_size, heads=heads)


def activation_addition(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[PreferenceRow], batch_size: int
) -> Callable[[int, float], Steering]:
    """Contrastive activation addition (Rimsky et al. 2024).

    The vector of a layer is the mean difference of the residual stream between wanted and unwanted replies, at the
    reply's first token, which tells them apart.

    Returns:
        A function of (layer, multiplier).
    """
    wanted, unwanted = _both(view, tokenizer, rows, batch_size, heads=False, whole=False)
    vectors = {layer: (wanted[layer] - unwanted[layer]).mean(dim=0) for layer in wanted}
    return lambda layer, strength: Steering(residual={layer: strength * vectors[layer]})


def head_intervention(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[PreferenceRow], batch_size: int
) -> Callable[[int, float], Steering]:
    """Inference-time intervention (Li et al. 2023).

    A logistic probe per head tells wanted from unwanted replies by z at their last token; the heads whose probes do
    best on a held-out fifth are shifted along the difference of class means, by a multiple of the spread along it.

    Returns:
        A function of (number of heads, multiplier).
    """
    wanted, unwanted = _both(view, tokenizer, rows, batch_size, heads=True, whole=True)
    accuracy: dict[Head, float] = {}
    shift: dict[Head, Tensor] = {}
    for head in view.heads():
        columns = slice(head.head * view.head_dim, (head.head + 1) * view.head_dim)
        a, b = wanted[head.layer][:, columns], unwanted[head.layer][:, columns]
        accuracy[head] = probe_accuracy(a.cpu().numpy(), b.cpu().numpy())
        towards = torch.nn.functional.normalize(a.mean(dim=0) - b.mean(dim=0), dim=0)
        shift[head] = towards * (torch.cat([a, b]) @ towards).std()
    ranked = sorted(accuracy, key=lambda head: -accuracy[head])

    def steering(count: int, strength: float) -> Steering:
        vectors: dict[int, Tensor] = {}
        for layer, head in ranked[:count]:
            vector = vectors.setdefault(layer, torch.zeros(view.n_heads * view.head_dim, device=view.device))
            vector[head * view.head_dim : (head + 1) * view.head_dim] = strength * shift[Head(layer, head)]
        return Steering(heads=vectors)

    return steering


def probe_accuracy(wanted: np.ndarray, unwanted: np.ndarray) -> float:
    """Held-out accuracy of a ridge-penalised logistic probe between two classes of paired rows, [row feature] each."""
    from scipy.optimize import minimize

    cut = len(wanted) * 4 // 5
    train = np.concatenate([wanted[:cut], unwanted[:cut]])
    label = np.repeat([1.0, -1.0], cut)
    mean, spread = train.mean(axis=0), train.std(axis=0) + 1e-6

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        x = np.c_[(train - mean) / spread, np.ones(len(train))]
        margin = label * (x @ weights)
        value = np.logaddexp(0, -margin).sum() + _RIDGE / 2 * (weights[:-1] ** 2).sum()
        gradient = -(x * (label * expit(-margin))[:, None]).sum(axis=0)
        gradient[:-1] += _RIDGE * weights[:-1]
        return float(value), gradient

    weights = minimize(loss, np.zeros(train.shape[1] + 1), jac=True, method="L-BFGS-B").x
    right = [
        float((sign * (np.c_[(rows[cut:] - mean) / spread, np.ones(len(rows) - cut)] @ weights) > 0).mean())
        for sign, rows in ((1, wanted), (-1, unwanted))
    ]
    return sum(right) / 2
