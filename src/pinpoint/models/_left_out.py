"""Architectures that are left out on purpose, and why: what one layout cannot say of all their blocks."""

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
)


def left_out(model_type: str) -> LeftOut | None:
    """Why an architecture is left out, if it is."""
    return next((one for one in LEFT_OUT if model_type in one.model_types), None)
