"""Running a part of a model with the rest of it supplied instead of computed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from accelerate.hooks import AlignDevicesHook
from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import MoeModelOutputWithPast

from pinpoint.models import HeadedModel

_UNEMBEDDED = 8192  # tokens whose part of the unembedding is widened at a time


class _StandIn(nn.Module):
    """Stands where a module stood and returns what it was given; its other attributes are the module's."""

    def __init__(self, original: nn.Module, forward: Callable[..., object]) -> None:
        super().__init__()
        object.__setattr__(self, "_original", original)  # past nn.Module, which would register it as a child
        self.forward = forward

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


@contextmanager
def supplied(parent: nn.Module, name: str, forward: Callable[..., object]) -> Iterator[None]:
    """Makes the module that `parent` keeps under `name` run `forward` instead of its own."""
    original = parent.get_submodule(name)
    try:
        parent.set_submodule(name, _StandIn(original, forward))
        yield
    finally:
        parent.set_submodule(name, original)


def _returning(output: object, count: int = 1) -> Callable[..., object]:
    """What returns `output`, and None for each of `count` things but the first."""
    returned = output if count == 1 else (output, *[None] * (count - 1))
    return lambda *_args, **_kwargs: returned


@contextmanager
def attention_supplied(view: HeadedModel, layer: int, output: Float[Tensor, "row position d_model"]) -> Iterator[None]:
    """Makes the attention of a block put out `output`, what its out projection would, and no attention weights."""
    forward = _returning(output, 2)
    if view.layout.adds_residual:  # it takes the residual stream as its second argument

        def forward(_normed: Tensor, residual: Tensor, **_kwargs: object) -> object:
            return residual + output, None

    with supplied(view.layers[layer], view.layout.attention, forward):
        yield


def run_block(
    view: HeadedModel,
    layer: int,
    hidden: Float[Tensor, "row d_model"],
    attention: Float[Tensor, "row d_model"] | None,
    mixed: Mapping[str, Float[Tensor, "row d_model"]],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> Float[Tensor, "row d_model"]:
    """Runs a block on single-token rows; what mixes positions is given instead of computed.

    The block's own forward runs, so its norms, MLP, router and residual scales come out right. It is called
    past its hooks: the sweep that calls this is itself one of them.

    Args:
        view: the model.
        layer: the block.
        hidden: the residual stream entering the block.
        attention: the out projection's output; None where the block has no attention.
        mixed: outputs of the block's other mixers, by name.
        args: what else the model passed to the block, by position.
        kwargs: what else the model passed to the block, by name; only mixers use it.

    Returns:
        The residual stream leaving the block.
    """
    block = view.layers[layer]
    with ExitStack() as stack:
        if attention is not None:
            stack.enter_context(attention_supplied(view, layer, attention[:, None]))
        for name, output in mixed.items():
            stack.enter_context(supplied(block, name, _returning(output[:, None], view.layout.mixer_outputs)))
        output = block.forward(hidden[:, None], *args, **kwargs)
    tensor = output[0] if isinstance(output, tuple) else output
    assert isinstance(tensor, torch.Tensor)
    return tensor[:, 0]


class _BackboneOutput(MoeModelOutputWithPast):
    """What a backbone returns; whatever else a model asks of it is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        return


def next_token_logits(
    view: HeadedModel, normed: Float[Tensor, "*row d_model"], tokens: list[int] | None = None
) -> Float[Tensor, "*row token"]:
    """Logits, in float32, of rows that the backbone put out.

    The model's own forward runs, with its backbone supplied, so that biases, soft caps and scales of the logits
    come out right.

    Args:
        view: the model.
        normed: the rows.
        tokens: the tokens whose logits are wanted; all by default.
    """
    rows = normed.reshape(-1, 1, normed.shape[-1])
    forward = _returning(_BackboneOutput(last_hidden_state=rows))
    ids = torch.zeros(len(rows), 1, dtype=torch.long, device=normed.device)
    with supplied(view.model, view.layout.backbone, forward), _unembedding(view, tokens, rows.dtype):
        logits: Tensor = view.model.forward(input_ids=ids, use_cache=False).logits
    if tokens is not None and logits.shape[-1] != len(tokens):
        logits = logits[..., tokens]
    return logits[:, 0].float().view(*normed.shape[:-1], -1)


@contextmanager
def _unembedding(view: HeadedModel, tokens: list[int] | None, dtype: torch.dtype) -> Iterator[None]:
    """Unembeds to `tokens` alone, in the rows' dtype, where the head is a plain matrix at hand; does nothing elsewhere.

    A row of many has few logits that are looked at: unembedding it whole would cost as much as whole layers. Rows are
    wider than the weights in models of half precision and where rounding is measured: narrow logits would undo that.
    """
    head = view.model.get_output_embeddings()
    if not _readable(head) or (tokens is None and head.weight.dtype == dtype):
        yield
        return
    wanted = slice(None) if tokens is None else tokens
    weights = head.weight[wanted].split(_UNEMBEDDED)
    biases = [None] * len(weights) if head.bias is None else head.bias[wanted].split(_UNEMBEDDED)
    name = next(name for name, module in view.model.named_modules() if module is head)

    def unembed(rows: Tensor) -> Tensor:
        rows = rows.to(weights[0].device)
        parts = (
            nn.functional.linear(rows, weight.to(rows.dtype), None if bias is None else bias.to(rows))
            for weight, bias in zip(weights, biases, strict=True)
        )
        return torch.cat(list(parts), dim=-1)

    with supplied(view.model, name, unembed):
        yield


def _readable(head: nn.Module | None) -> bool:
    """Whether a module is a matrix at hand and nothing else; a hook of accelerate's may move what enters it."""
    if type(head) is not nn.Linear or head.weight.is_meta or head._forward_hooks or head._forward_pre_hooks:
        return False
    hook = getattr(head, "_hf_hook", None)
    parts = [] if hook is None else getattr(hook, "hooks", (hook,))
    return all(isinstance(part, AlignDevicesHook) and not part.offload for part in parts)


def final_logits(
    view: HeadedModel, hidden: Float[Tensor, "*row d_model"], tokens: list[int] | None = None
) -> Float[Tensor, "*row token"]:
    """Logits, in float32, of rows of the residual stream that leave the last block; of `tokens`, or of all."""
    for module in view.tail:
        hidden = module(hidden)
    return next_token_logits(view, hidden, tokens)
