"""The layouts that are known, by `config.model_type`."""

from transformers import PreTrainedModel

from pinpoint.errors import ArchitectureError
from pinpoint.models._llama import LLAMA
from pinpoint.models._spec import HeadedModel, Layout

LAYOUTS: tuple[Layout, ...] = (LLAMA,)


def known_types() -> list[str]:
    """Every `model_type` that has a layout."""
    return sorted(name for layout in LAYOUTS for name in layout.model_types)


def headed(model: PreTrainedModel) -> HeadedModel:
    """Sees a model through the layout of its architecture.

    Raises:
        ArchitectureError: no layout is registered for its `config.model_type`.
    """
    model_type = model.config.model_type
    for layout in LAYOUTS:
        if model_type in layout.model_types:
            return HeadedModel(model, layout)
    raise ArchitectureError(
        f"no layout is known for model_type {model_type!r}; known are {', '.join(known_types())}.",
        where=type(model).__name__,
        mend="Describe where it keeps its blocks, attention and projections in a Layout beside "
        "pinpoint/models/_llama.py and add it to LAYOUTS.",
    )
