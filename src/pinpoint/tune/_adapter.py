"""An adapter on the model itself instead of on a copy of it: put on, added to the weights for a while, taken off.

The base is the same model with the adapter switched off, so that there is one model in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import OffloadedWeightsLoader
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.checkpoint import set_checkpoint_early_stop
from transformers import PreTrainedModel

from pinpoint.errors import InputError, first_line
from pinpoint.interventions import offloading
from pinpoint.memory import handing_back
from pinpoint.models import HeadedModel, demand_gradients
from pinpoint.tune._slices import ADAPTER, Slice, attach, freeze_selectors, materialise


@contextmanager
def adapted(view: HeadedModel, slices: Sequence[Slice]) -> Iterator[PeftModel]:
    """The model with an untrained adapter of `slices` on it, for the length of the block; after it, as it was.

    A model whose blocks are fetched as they run is trained with activation checkpointing: a backward pass would else
    keep all that it fetched.

    Raises:
        InputError: no gradient passes through the model's weights.
    """
    model: Any = view.model
    demand_gradients(model)
    fetched = any(map(offloading, view.layers)) and model.supports_gradient_checkpointing
    with _as_it_was(model):
        try:
            live = attach(view, slices)
            if fetched:
                # Not before: PEFT would have the backward pass go on below the lowest tuned head.
                model.activation_checkpointing_enable({"use_reentrant": False})
                model.disable_input_require_grads()
            # To its end: where computing a block again stops early, the last matrix fetched for it is not let go.
            with set_checkpoint_early_stop(not fetched), handing_back() if fetched else nullcontext():
                yield live
        finally:
            if fetched:
                model.activation_checkpointing_disable()
            take_off(model)


@contextmanager
def _as_it_was(model: PreTrainedModel) -> Iterator[None]:
    """Puts back what an adapter and a trainer set of a model: gradients wanted, special tokens, tags, its mode."""
    # By name: weights that are fetched are other objects after every pass.
    asked = {name: weight.requires_grad for name, weight in model.named_parameters()}
    training = model.training
    settings = [one for one in (model.config, getattr(model, "generation_config", None)) if one is not None]
    kept, names = [(one, dict(vars(one))) for one in settings], set(vars(model))
    try:
        yield
    finally:
        for name, weight in model.named_parameters():
            weight.requires_grad_(asked[name])
        for one, before in kept:
            vars(one).clear()
            vars(one).update(before)
        for name in set(vars(model)) - names:
            delattr(model, name)
        model.train(training)


def _adapted_layers(model: nn.Module) -> list[tuple[str, LoraLayer]]:
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLayer)]


def take_off(model: PreTrainedModel) -> None:
    """Takes an adapter off, if there is one; PEFT's own way writes a model that is on disk to a folder beside it."""
    for name, layer in _adapted_layers(model):
        model.set_submodule(name, layer.get_base_layer())
    vars(model).pop("peft_config", None)


def put_on(model: PreTrainedModel, folder: Path) -> PeftModel:
    """A saved adapter on the model that it is given, wherever the weights of that lie; for use, not for training.

    Raises:
        InputError: the adapter is of another model's shapes; this one is left without it.
    """
    return _read(model, folder, trains=False).requires_grad_(False).eval()


def resume_adapter(view: HeadedModel, folder: str | Path) -> PeftModel:
    """Loads a saved head-slice adapter for more training, its one-hot factors frozen again.

    Raises:
        InputError: the adapter is of another model's shapes; this one is left without it.
        ConfigError: it holds no head slices.
    """
    model = _read(view.model, Path(folder), trains=True)
    freeze_selectors(model)
    return model


def _read(model: PreTrainedModel, folder: Path, *, trains: bool) -> PeftModel:
    config, saved = LoraConfig.from_pretrained(str(folder)), load_file(folder / "adapter_model.safetensors")
    config.inference_mode = not trains
    try:
        live: PeftModel = get_peft_model(model, config)
        for _, layer in _adapted_layers(model):
            materialise(layer)
        wanted: Any = get_peft_model_state_dict(live, save_embedding_layers=False)
        here, there = ({(name, tuple(one.shape)) for name, one in weights.items()} for weights in (wanted, saved))
        if here != there:
            raise ValueError(f"{min(here ^ there)[0]} has no place in it, or another shape")
    except ValueError as error:
        take_off(model)
        raise InputError(
            f"the adapter does not fit this model: {first_line(str(error))}",
            where=str(folder),
            mend="Give the model that it was made for.",
        ) from error
    set_peft_model_state_dict(live, saved)
    return live


@contextmanager
def merged(live: PeftModel) -> Iterator[PreTrainedModel]:
    """The model with the adapter's change in its weights, and no adapter, for the length of the block.

    Raises:
        InputError: a merged weight is not finite.
    """
    model: Any = live.get_base_model()
    with ExitStack() as stack:
        for name, layer in _adapted_layers(model):
            stack.callback(_add(name, layer))
        take_off(model)
        yield model


@torch.no_grad()
def _add(name: str, layer: Any) -> Callable[[], None]:
    """Adds the change to a layer's weight; what is returned takes it back, to the bit."""
    base: Any = layer.get_base_layer()
    if not base.weight.is_meta:
        before = base.weight.data
        base.weight.data = _sum(name, before, layer.get_delta_weight(ADAPTER))
        return lambda: setattr(base.weight, "data", before)
    [(_, hook)] = offloading(base)
    kept, key = hook.weights_map.dataset, f"{hook.weights_map.prefix}weight"
    # What is here goes before what the checkpoint's files hold.
    if not isinstance(kept.state_dict, _OnDemand):
        kept.state_dict = _OnDemand(kept.state_dict)
    here = kept.state_dict
    before = here.pop(key, None)
    files = OffloadedWeightsLoader({}, kept.save_folder, kept.index, kept.device)

    def sum_() -> Tensor:
        return _sum(name, files[key] if before is None else before, layer.get_delta_weight(ADAPTER))

    sum_()
    here[key] = sum_
    return lambda: here.pop(key) if before is None else here.update({key: before})


class _OnDemand(dict[str, Any]):
    """Weights, some of which are made each time that they are asked for: all at once are a good part of a model's."""

    def __getitem__(self, key: str) -> Any:
        found = super().__getitem__(key)
        return found() if callable(found) else found


def _sum(name: str, weight: Tensor, change: Tensor) -> Tensor:
    found = weight + change.to(weight)
    if not found.isfinite().all():
        raise InputError("a merged weight is not finite.", where=name, mend="Lower the learning rate.")
    return found
