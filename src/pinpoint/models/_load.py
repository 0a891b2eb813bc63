"""Loading a chat model and its tokenizer, from a folder or from the Hub."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pinpoint.errors import InputError, first_line

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


class Loaded(NamedTuple):
    """A model in evaluation mode and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def pick_device(device: str) -> str:
    """Resolves "auto": CUDA, then Apple's GPU, then the CPU.

    Raises:
        InputError: this machine has no such device.
    """
    if device != "auto":
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"device {device!r} cannot be used: {str(error).splitlines()[0]}",
                where="device",
                mend="Use auto, cpu, cuda, cuda:1 or mps, as this machine has.",
            ) from error
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def model_class(config: PretrainedConfig) -> type[AutoModelForCausalLM] | type[AutoModelForImageTextToText]:
    """What builds the model of a config: a language model, or a wrapper with one inside."""
    return AutoModelForCausalLM if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING else AutoModelForImageTextToText


def load_tokenizer(path: str | Path, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Loads a tokenizer alone.

    Raises:
        InputError: there is none at `path`.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(path), revision=revision)
    except (OSError, ValueError) as error:
        raise InputError(f"no tokenizer can be loaded: {str(error).splitlines()[0]}", where=str(path)) from error
    return tokenizer


def _quantised(config: PretrainedConfig) -> str:
    """How the weights of a checkpoint are quantised; empty where they are not."""
    for part in (config, config.get_text_config(decoder=True)):
        found = getattr(part, "quantization_config", None)
        if found:
            method = found.get("quant_method") if isinstance(found, dict) else found.quant_method
            return str(getattr(method, "value", method) or "unnamed method")
    return ""


def load(path: str | Path, dtype: str = "auto", device: str = "auto", revision: str | None = None) -> Loaded:
    """Loads a causal language model with its tokenizer.

    Args:
        path: a local folder written by `save_pretrained`, or a Hub id.
        dtype: "auto" (the checkpoint's own), "bfloat16", "float16" or "float32".
        device: "auto", "cpu", "cuda", "cuda:1", "mps"...
        revision: branch, tag or commit on the Hub.

    Returns:
        The model, in evaluation mode, and the tokenizer.

    Raises:
        InputError: the dtype is unknown, nothing can be loaded from `path`, or its weights are quantised in a way that
            this machine has no library or device for.
    """
    if dtype != "auto" and dtype not in _DTYPES:
        raise InputError(f"dtype {dtype!r} is unknown.", mend=f"Use auto or one of {', '.join(_DTYPES)}.")
    method, placed = "", pick_device(device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), revision=revision)
        config = AutoConfig.from_pretrained(str(path), revision=revision)
        method = _quantised(config)
        # Quantised weights are made where they stay: most cannot be moved.
        where = {"device_map": {"": placed}} if method else {}
        model = model_class(config).from_pretrained(
            str(path), config=config, dtype=_DTYPES.get(dtype, "auto"), revision=revision, use_safetensors=True, **where
        )
    except (ImportError, OSError, ValueError, RuntimeError, SafetensorError) as error:
        if method:
            raise InputError(
                f"its weights are quantised ({method}) and cannot be loaded on {placed}: {first_line(str(error))}",
                where=str(path),
                mend="Install what is missing, choose another --device, or give the model that it was quantised from.",
            ) from error
        raise InputError(
            f"no model can be loaded: {str(error).splitlines()[0]}",
            where=str(path),
            mend="Give a Hub id or a folder written by save_pretrained (config, weights as safetensors, tokenizer).",
        ) from error
    module: nn.Module = model
    if not method:
        module.to(placed)
    module.eval()
    return Loaded(model, tokenizer)
