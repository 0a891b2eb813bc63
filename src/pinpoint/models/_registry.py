"""The layouts that are known, by `config.model_type`."""

from transformers import PreTrainedModel

from pinpoint.errors import ArchitectureError
from pinpoint.models._deepseek import DEEPSEEK
from pinpoint.models._gpt import GPT2, GPT_BIGCODE, GPT_NEO, GPT_NEOX, GPTJ
from pinpoint.models._hybrid import BAMBA, FALCON_H1, GRANITE_HYBRID, JAMBA, LFM2
from pinpoint.models._llama import LLAMA, PHI, PHI3, TEXT_OF_WRAPPER
from pinpoint.models._others import BLOOM, FALCON, MPT, OPT, PERSIMMON
from pinpoint.models._spec import HeadedModel, Layout

LAYOUTS: tuple[Layout, ...] = (
    LLAMA,
    PHI,
    PHI3,
    TEXT_OF_WRAPPER,
    GPT2,
    GPT_BIGCODE,
    GPT_NEO,
    GPTJ,
    GPT_NEOX,
    OPT,
    BLOOM,
    FALCON,
    MPT,
    PERSIMMON,
    DEEPSEEK,
    JAMBA,
    LFM2,
    FALCON_H1,
    BAMBA,
    GRANITE_HYBRID,
)


def known_types() -> list[str]:
    """Every `model_type` that has a layout."""
    return sorted(name for layout in LAYOUTS for name in layout.model_types)


def layout_of(model_type: str) -> Layout | None:
    """The layout of an architecture, if one is known."""
    return next((layout for layout in LAYOUTS if model_type in layout.model_types), None)


def headed(model: PreTrainedModel) -> HeadedModel:
    """Sees a model through the layout of its architecture.

    Raises:
        ArchitectureError: no layout is registered for its `config.model_type`.
    """
    layout = layout_of(model.config.model_type)
    if layout is None:
        raise ArchitectureError(
            f"no layout is known for model_type {model.config.model_type!r}; known are {', '.join(known_types())}.",
            where=type(model).__name__,
            mend="Describe where it keeps its blocks, attention and projections in a Layout beside "
            "pinpoint/models/_llama.py and add it to LAYOUTS.",
        )
    return HeadedModel(model, layout)
