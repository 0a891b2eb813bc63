"""What quantised weights take in memory, from a checkpoint's config alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import PretrainedConfig
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.quantizers_utils import should_convert_module
from transformers.utils import is_kernels_available, is_triton_available

from pinpoint.models._config_file import unreadable
from pinpoint.models._quantised import quantisation, quantisation_settings
from pinpoint.models._spec import HeadedModel

# Methods whose kernels are for GPUs, from this compute capability on; elsewhere transformers unpacks their weights.
_FOR_GPUS = {"fp8": (8, 9), "mxfp4": (7, 5)}

# What transformers needs beside itself to load what each method made, by the names that are imported.
_LIBRARIES = {
    "bitsandbytes": ("bitsandbytes",),
    "gptq": ("gptqmodel", "optimum"),
    "awq": ("gptqmodel",),
    "compressed-tensors": ("compressed_tensors",),
}


class Packed(NamedTuple):
    """How the weights of a model's blocks are kept.

    Attributes:
        method: what quantised them.
        size: bytes of a weight, its share of the scales included; None where the config does not say.
        matrices: whether linear layers are quantised.
        experts: whether experts that are kept in one tensor are.
        skipped: patterns of names of modules that are not.
    """

    method: str
    size: float | None
    matrices: bool = True
    experts: bool = False
    skipped: tuple[str, ...] = ()

    def holds(self, name: str, module: nn.Module, weight: torch.Tensor) -> bool:
        """Whether a parameter that is a module's own is quantised."""
        if not should_convert_module(name, list(self.skipped)):
            return False
        if isinstance(module, nn.Linear | Conv1D):
            return self.matrices and weight.ndim == 2
        return self.experts and weight.ndim == 3


def _bitsandbytes(found: Mapping[str, Any]) -> float:
    if not found.get("load_in_4bit"):
        return 1.0
    scale = 1 + 4 / 256 if found.get("bnb_4bit_use_double_quant") else 4  # bytes, one for 64 weights
    return 0.5 + scale / 64


def _number(found: Mapping[str, Any], *names: str) -> float | None:
    """The first number of these names that there is."""
    for name in names:
        value = found.get(name)
        if isinstance(value, int | float):
            return value
        if value is not None:
            raise TypeError(f"{name} is {value!r}, no number")
    return None


def _grouped(found: Mapping[str, Any]) -> float | None:
    """GPTQ and AWQ: a scale in 16 bits and a zero as wide as a weight for each group."""
    bits, group = _number(found, "bits", "w_bit"), _number(found, "group_size", "q_group_size") or -1
    if bits is None:
        return None
    return float(bits / 8 + ((2 + bits / 8) / group if group > 0 else 0.0))


def _fp8(found: Mapping[str, Any]) -> float:
    block = found.get("weight_block_size")
    if block and not math.prod(block) > 0:
        raise TypeError(f"weight_block_size is {block!r}, no size")
    return 1.0 + (4 / math.prod(block) if block else 0.0)


def _compressed(found: Mapping[str, Any]) -> float | None:
    """Compressed-tensors: what its first group of weights has."""
    groups = [group.get("weights") for group in (found.get("config_groups") or {}).values()]
    weights = next((one for one in groups if one and one.get("num_bits")), None)
    if weights is None:
        return None
    bits, group = _number(weights, "num_bits") or 0, _number(weights, "group_size") or 0
    return float(bits / 8 + (2 / group if group > 0 else 0.0))


_SIZES: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "bitsandbytes": _bitsandbytes,
    "gptq": _grouped,
    "awq": _grouped,
    "fp8": _fp8,
    "fbgemm_fp8": lambda _found: 1.0,
    "compressed-tensors": _compressed,
    "mxfp4": lambda _found: 0.5 + 1 / 32,  # a scale of a byte for 32 weights
}


def packed(config: PretrainedConfig) -> Packed | None:
    """How a checkpoint keeps its weights; None where they are not quantised.

    Raises:
        InputError: its config says so in a form that cannot be read.
    """
    method = quantisation(config)
    if not method:
        return None
    found = quantisation_settings(config)
    try:
        size = _SIZES[method](found) if method in _SIZES else None
    except (AttributeError, TypeError) as error:
        raise unreadable(str(config.name_or_path), f"quantization_config: {error}") from error
    names = ("modules_to_not_convert", "llm_int8_skip_modules", "ignored_layers", "ignore")
    skipped = next((found[name] for name in names if found.get(name)), ())
    # Patterns of compressed-tensors that are regular expressions say so.
    patterns = tuple(str(name).removeprefix("re:") for name in skipped)
    return Packed(method, size, method != "mxfp4", method in ("mxfp4", "fp8", "fbgemm_fp8"), patterns)


def in_bits_packed(bits: int) -> Packed:
    """How bitsandbytes keeps what it quantises as it is loaded (`bits` of a run)."""
    return Packed("bitsandbytes", _bitsandbytes({"load_in_4bit": bits == 4}))


def kept_packed(method: str, device: torch.device) -> bool:
    """Whether weights that a method quantised stay so on a device; else they are unpacked as they are loaded."""
    if method == "compressed-tensors":  # its library would unpack it in the first forward pass, and keep that
        return False
    if method not in _FOR_GPUS:
        return True
    if device.type != "cuda" or method == "mxfp4" and not (is_triton_available("3.4.0") and is_kernels_available()):
        return False
    return torch.cuda.get_device_capability(device) >= _FOR_GPUS[method]


def missing_libraries(found: Packed) -> list[str]:
    """The libraries that loading such weights needs and this environment lacks."""
    return [name for name in _LIBRARIES.get(found.method, ()) if find_spec(name) is None]


def spared(view: HeadedModel, size: int, found: Packed | None) -> list[float]:
    """Bytes that the quantised weights of each block take less than in numbers of `size` bytes."""
    if found is None or found.size is None:
        return [0.0] * view.n_layers
    counts = [0] * view.n_layers
    for number, block in enumerate(view.layers):
        for name, module in block.named_modules():
            full = f"{view.layout.layers}.{number}.{name}".rstrip(".")
            counts[number] += sum(w.numel() for w in module.parameters(recurse=False) if found.holds(full, module, w))
    return [count * (size - found.size) for count in counts]
