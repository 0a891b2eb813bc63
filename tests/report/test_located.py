"""What the page says of each locator."""

from typing import get_args

from pinpoint.behaviours import behaviour_of
from pinpoint.config import LocateConfig, SycophancyConfig, UserBehaviourConfig
from pinpoint.measure import Opening, Openings
from pinpoint.report._located import answers, head_rows, located, worth

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
    assert len(set(said)) == len(methods) == 6
    assert "froze every other head" in said[0]
    assert "not what the head does" in located("probe", SYCOPHANCY)
    told = located("knockout", SYCOPHANCY)
    assert "its mean over neutral dialogues in place of what it puts out under doubt" in told
    assert "plays no part" in told and "pushes towards caving." in told


def test_what_replies_were_found_to_begin_with_is_told_and_words_that_were_given_are_not() -> None:
    sides = [
        Opening(text=text, ids=[i], tokens=[text], reference=1 - i, counterfactual=i)
        for i, text in enumerate(("Sorry", "Yes"))
    ]
    found = Openings(prompts=32, shared=[], shared_text="", unwanted=sides[:1], wanted=sides[1:])
    told = answers({"answers": found.model_dump()})
    assert "unwanted 'Sorry' (100% of references, 0% of counterfactuals); wanted 'Yes' (0% of" in told
    assert "replies to 32 of either" in told and answers({}) == ""


def test_the_words_are_those_of_the_behaviour() -> None:
    assert "under doubt by what it puts out when the user agrees" in located("path", SYCOPHANCY)
    assert "pushes towards caving." in located("path", SYCOPHANCY)
    told = located("path", REFUSING)
    assert "on the reference by what it puts out on the counterfactual" in told
    assert "pushes towards refusing &lt;b&gt;." in told


RECORD = {
    "mean": [[-1.5, 0.01, None], [0.04, 0.2, -0.3]],
    "reliability": {"value": 0.9312, "low": 0.9, "high": 0.95, "halvings": 1000, "pairs": 50},
    "noise": {"floor": 0.05, "pairs": 8, "dtype": "bfloat16", "against": "float32"},
}


def test_a_map_says_how_reliable_it_is_and_what_rounding_puts_into_it() -> None:
    said = worth(RECORD)
    assert "1,000 times, the 50 pairs give this map a split-half reliability of 0.931 [0.900, 0.950]." in said
    assert "Rounding in bfloat16 moves no mean effect by more than 5.0e-02, the noise floor (against float32" in said
    assert said.endswith("2 of the 5 heads lie under it.")
    assert worth(RECORD | {"noise": RECORD["noise"] | {"floor": 0.02}}).endswith("1 of the 5 heads lies under it.")
    assert worth(RECORD | {"noise": RECORD["noise"] | {"floor": 1e-6}}).endswith("no head lies under it.")


def test_a_run_from_before_says_nothing_of_either() -> None:
    assert worth({"mean": RECORD["mean"]}) == ""
    undefined = {"value": None, "low": None, "high": None, "halvings": 0, "pairs": 3}
    assert worth({"mean": RECORD["mean"], "reliability": undefined, "noise": None}) == ""


def test_heads_under_the_noise_floor_are_marked() -> None:
    record = RECORD | {
        "ranking": ["L0.H0", "L1.H2", "L1.H0"],
        "ranking_mean": RECORD["mean"],
        "standard_error": [[0.1] * 3] * 2,
    }
    assert [row["noise"] for row in head_rows(record, set())] == [False, False, True]
    assert not any(row["noise"] for row in head_rows(record | {"noise": None}, set()))
