"""What the page says of each locator."""

from typing import get_args

from pinpoint.behaviours import behaviour_of
from pinpoint.config import LocateConfig, SycophancyConfig, UserBehaviourConfig
from pinpoint.report._located import located

SYCOPHANCY = behaviour_of(SycophancyConfig())
REFUSING = behaviour_of(
    UserBehaviourConfig(
        name="refusal",
        shows="refusing <b>",
        pairs="pairs.jsonl",
        train="train.jsonl",
        evaluation="evaluation.jsonl",
        measures={"answers": {"rule": "contains_any", "targets": ("yes",)}},
    )
)


def test_every_locator_is_told_in_words_of_its_own() -> None:
    methods = get_args(LocateConfig.model_fields["method"].annotation)
    said = [located(method, SYCOPHANCY) for method in methods]
    assert len(set(said)) == len(methods) == 5
    assert "froze every other head" in said[0]
    assert "not what the head does" in located("probe", SYCOPHANCY)


def test_the_words_are_those_of_the_behaviour() -> None:
    assert "under doubt by what it puts out under agreement" in located("path", SYCOPHANCY)
    assert "pushes towards caving." in located("path", SYCOPHANCY)
    told = located("path", REFUSING)
    assert "on the reference by what it puts out on the counterfactual" in told
    assert "pushes towards refusing &lt;b&gt;." in told
