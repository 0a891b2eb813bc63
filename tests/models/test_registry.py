"""The registry against transformers' own: every language model there has a layout, or a reason why not."""

from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from pinpoint.models import known_types
from pinpoint.models._left_out import LEFT_OUT
from tests.models.untried import UNTRIED

THEIRS = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}
REFUSED = {kind for one in LEFT_OUT for kind in one.model_types}
PASSED_OVER = [kind for kinds in UNTRIED.values() for kind in kinds]


def test_every_language_model_of_transformers_is_known_or_left_out_or_passed_over_with_a_reason() -> None:
    accounted = {*known_types(), *REFUSED, *PASSED_OVER}
    # Some names stand for the config of another, as gpt-sw3 does for GPT-2's.
    assert not {kind for kind in THEIRS - accounted if CONFIG_MAPPING[kind].model_type not in accounted}


def test_a_model_is_passed_over_once_and_only_if_it_is_not_known_or_left_out() -> None:
    assert len(PASSED_OVER) == len(set(PASSED_OVER))
    assert not set(PASSED_OVER) & {*known_types(), *REFUSED}
    assert set(PASSED_OVER) <= THEIRS
