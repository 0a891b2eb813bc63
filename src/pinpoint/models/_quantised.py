"""Weights in 4 or 8 bits: checkpoints that are so already, and those that bitsandbytes makes so as they are loaded."""

from typing import Any

import torch
from transformers import BitsAndBytesConfig, PretrainedConfig, PreTrainedModel

from pinpoint.config import FETCHED_MAPS, Bits, DeviceMap
from pinpoint.errors import InputError, first_line


def quantisation_settings(config: PretrainedConfig) -> dict[str, Any]:
    """What a checkpoint's config says of how its weights are quantised; empty where they are not."""
    for part in (config, config.get_text_config(decoder=True)):
        found = getattr(part, "quantization_config", None)
        if found:
            return found if isinstance(found, dict) else found.to_dict()
    return {}


def quantisation(config: PretrainedConfig) -> str:
    """How the weights of a checkpoint are quantised; empty where they are not."""
    found = quantisation_settings(config)
    method = found.get("quant_method")
    if found and not method and (found.get("load_in_8bit") or found.get("load_in_4bit")):
        return "bitsandbytes"
    return str(getattr(method, "value", method) or "unnamed method") if found else ""


def rounds_by_batch(config: PretrainedConfig) -> bool:
    """Whether a row's outputs depend on the rows beside it, as those of LLM.int8 do."""
    return bool(quantisation_settings(config).get("load_in_8bit"))


def is_quantised(model: PreTrainedModel) -> bool:
    """Whether a model's weights are quantised."""
    return getattr(model, "hf_quantizer", None) is not None


def keep_gradients(model: PreTrainedModel) -> None:
    """Keeps 4-bit weights as bitsandbytes made them.

    On some CPUs it packs them anew at the first pass of inference, with rounded scales, and no gradient passes
    through packed weights from then on, without a word.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def demand_gradients(model: PreTrainedModel) -> None:
    """Refuses to train over weights that gradients do not pass through.

    Raises:
        InputError: bitsandbytes has packed them for inference.
    """
    states = (getattr(weight, "quant_state", None) for weight in model.parameters())
    if any(getattr(state, "packing_format_for_cpu", False) for state in states):
        raise InputError(
            "bitsandbytes has packed its 4-bit weights for inference: no gradient passes through them.",
            where=str(model.name_or_path),
            mend="Load it with pinpoint.load, which keeps them from being packed.",
        )


def demand_unquantised(config: PretrainedConfig) -> None:
    """Refuses to quantise a checkpoint twice.

    Raises:
        InputError: it is quantised.
    """
    if method := quantisation(config):
        raise InputError(
            f"the checkpoint is quantised already ({method}).", where="bits", mend="Leave bits out, or give another."
        )


def in_bits(
    bits: Bits, config: PretrainedConfig, dtype: torch.dtype | None, device: str, device_map: DeviceMap | None
) -> BitsAndBytesConfig:
    """What has transformers quantise the matrices of blocks as it loads them.

    In 4 bits: NF4 (Dettmers et al. 2023), computed in the dtype of the rest; in 8: LLM.int8 (Dettmers et al. 2022).

    Args:
        bits: of a weight.
        config: of the model.
        dtype: of what is not quantised; None for the checkpoint's own.
        device: where the model goes.
        device_map: where its weights lie, if not there.

    Raises:
        InputError: the checkpoint is quantised already, its blocks are to be fetched as they run, or bitsandbytes is
            not installed or does not know the device.
    """
    demand_unquantised(config)
    if device_map in FETCHED_MAPS or (isinstance(device_map, dict) and {"cpu", "disk"} & {*device_map.values()}):
        raise InputError(
            f"blocks that are fetched as they run ({device_map}) are kept as the checkpoint has them.",
            where="bits",
            mend="Leave bits out, or device_map.",
        )
    _demand_kernels(bits, torch.device(device).type)
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    own = getattr(config.get_text_config(decoder=True), "dtype", None) or torch.float32
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype or own)


def _demand_kernels(bits: Bits, device: str) -> None:
    mend = 'pip install "pinpoint-tuning[quantised]", or leave bits out.'
    try:
        import bitsandbytes
    except ImportError as error:
        why = "is not installed" if error.name == "bitsandbytes" else f"cannot be used: {first_line(str(error))}"
        raise InputError(
            f"bitsandbytes, which makes weights of {bits} bits, {why}.", where="bits", mend=mend
        ) from error
    known = sorted(bitsandbytes.supported_torch_devices)
    if device not in known:
        raise InputError(
            f"bitsandbytes {bitsandbytes.__version__} makes no weights of {bits} bits on {device}.",
            where="bits",
            mend=f"It knows {', '.join(known)}: choose one of them with device, or leave bits out.",
        )
