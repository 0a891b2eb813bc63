"""Architectures that are left out on purpose, and why: what a layout cannot say of their heads and blocks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """An architecture without a layout.

    Attributes:
        name: what its models are called.
        model_types: values of `config.model_type`.
        why: what stands against it, as the end of a sentence.
    """

    name: str
    model_types: tuple[str, ...]
    why: str


LEFT_OUT = (
    LeftOut(
        "Gemma 4",
        ("gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text"),
        "heads of blocks with full attention are wider than those of blocks with a window, the last blocks reuse keys "
        "and values of earlier ones, and a block takes another input for each token",
    ),
    LeftOut(
        "Gemma 3n",
        ("gemma3n", "gemma3n_text"),
        "the residual stream is several streams at once (AltUp), and a block takes another input for each token",
    ),
    LeftOut(
        "GLM-5",
        ("glm_moe_dsa",),
        "blocks look at positions that others below them chose, and what starts in the middle of the model lacks them",
    ),
    LeftOut(
        "MiMo-V2-Flash",
        ("mimo_v2_flash",),
        "blocks with a window have twice as many key/value heads as the others",
    ),
    LeftOut(
        "PaliGemma",
        ("paligemma",),
        "without the processor's `token_type_ids`, transformers lets tokens look ahead in a batch without padding, and "
        "not in one with padding; scores would depend on the batch",
    ),
    LeftOut(
        "RecurrentGemma",
        ("recurrent_gemma",),
        "its recurrent blocks read the padding of a batch as they read text; scores would depend on the batch",
    ),
    LeftOut(
        "BitNet",
        ("bitnet",),
        "a norm over all heads at once stands between them and the out projection: no part of what enters it is one "
        "head's alone",
    ),
    LeftOut(
        "DiffLlama",
        ("diffllama",),
        "a head's output is taken from another's and normalised with it: no part of what enters the out projection is "
        "one head's alone",
    ),
    LeftOut(
        "Doge",
        ("doge",),
        "the values of all heads together say where each head looks",
    ),
    LeftOut(
        "Zamba",
        ("zamba", "zamba2"),
        "blocks throughout the model run the same attention, and it reads the embeddings beside the residual stream",
    ),
    LeftOut(
        "Llama 3.2 Vision",
        ("mllama",),
        "some blocks look at an image alone and are passed over where there is none",
    ),
    LeftOut(
        "JetMoE",
        ("jetmoe",),
        "a router chooses each token's heads, and every choice has an out projection of its own",
    ),
    LeftOut(
        "LongCat-Flash",
        ("longcat_flash",),
        "a block has two attentions and experts that run beside the second",
    ),
    LeftOut(
        "Laguna",
        ("laguna",),
        "blocks differ in their number of heads",
    ),
    LeftOut(
        "DeepSeek-V4, HY-V4 and Qwen4",
        ("deepseek_v4", "hy_v4", "qwen4_exp", "qwen4_exp_text"),
        "the residual stream is several streams at once (hyper-connections)",
    ),
    LeftOut(
        "Inkling",
        ("inkling_mm_model", "inkling_text"),
        "a convolution over positions stands between attention and the residual stream",
    ),
    LeftOut(
        "ZAYA",
        ("zaya",),
        "a block's router reads what that of the block below made, beside the residual stream",
    ),
    LeftOut(
        "HRM",
        ("hrm_text",),
        "its blocks run several times over for each token",
    ),
)


def left_out(model_type: str) -> LeftOut | None:
    """Why an architecture is left out, if it is."""
    return next((one for one in LEFT_OUT if model_type in one.model_types), None)
