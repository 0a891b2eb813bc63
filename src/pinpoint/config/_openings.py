"""How replies begin that show a behaviour and that do not: words, or left to the model."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from pinpoint.config._base import Text


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(_several)]
"""One text or several."""
AUTO = ("auto",)
"""In place of words: the locate stage finds them in the model's own replies."""


def _found_alike(wanted: Texts, info: ValidationInfo) -> Texts:
    # What is found on one side depends on the other.
    if (info.data.get("unwanted", wanted) == AUTO) != (wanted == AUTO):
        raise ValueError("unwanted and wanted are found together: give auto for both, or words for both")
    return wanted


Wanted = Annotated[Texts, AfterValidator(_found_alike)]
"""Texts, or `AUTO` where the field `unwanted` before it is that too."""


def words_of(given: Texts) -> Texts:
    """The words that were given; none where they are to be found."""
    return () if given == AUTO else given
