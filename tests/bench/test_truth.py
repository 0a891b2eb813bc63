"""Which planted parts matter: on games and tiny models whose answers are known, and on the shipped organisms."""

import copy
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import pinpoint
from pinpoint.heads import Head
from pinpoint.measure import Chat, admits_mistake
from pinpoint.models import headed
from pinpoint.organism import shipped
from tests.conftest import ROOT


class Scripts(NamedTuple):
    truth: ModuleType
    plants: ModuleType
    planted: ModuleType
    sensitivity: ModuleType


@pytest.fixture(scope="module")
def scripts() -> Iterator[Scripts]:
    sys.path.insert(0, str(ROOT / "bench"))
    import _plants
    import _sensitivity
    import _truth
    import planted

    yield Scripts(_truth, _plants, planted, _sensitivity)
    sys.path.remove(str(ROOT / "bench"))


def game(size: int, worth: Any) -> list[float]:
    """The worth of every subset, given what it is of a set of parts."""
    return [float(worth({i for i in range(size) if subset >> i & 1})) for subset in range(2**size)]


ADDED = game(3, lambda parts: sum((4, 2, 1)[i] for i in parts))
TOGETHER = game(3, lambda parts: {0, 1} <= parts)  # the third does nothing
EITHER = game(3, lambda parts: bool({0, 1} & parts))
MAJORITY = game(3, lambda parts: len(parts) >= 2)


def test_what_each_part_is_owed_is_known_of_games(scripts: Scripts) -> None:
    owed = scripts.truth.owed
    assert owed(ADDED) == pytest.approx([4, 2, 1])
    assert owed(TOGETHER) == owed(EITHER) == pytest.approx([0.5, 0.5, 0])
    assert owed(MAJORITY) == pytest.approx([1 / 3] * 3)
    # Gloves: the first part needs either of the others.
    assert owed(game(3, lambda parts: 0 in parts and len(parts) > 1)) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_the_sets_whose_reverting_takes_the_rise_away_are_the_least_such(scripts: Scripts) -> None:
    reverts = scripts.truth.reverts
    assert reverts(TOGETHER) == [{0}, {1}], "either, alone"
    assert reverts(EITHER) == [{0, 1}], "only both"
    assert reverts(MAJORITY) == [{0, 1}, {0, 2}, {1, 2}]
    assert reverts(ADDED) == [{0}], "4 of 7: less than half is left"
    assert reverts(ADDED, 0.4) == [{0, 1}, {0, 2}] and reverts(ADDED, 0.8) == [{0}, {1}]
    raised = [5 + worth / 2 for worth in ADDED]
    assert reverts(raised) == reverts(ADDED), "only the rise counts"


def test_parts_matter_that_are_in_a_least_set_or_in_one_of_the_smallest(scripts: Scripts) -> None:
    mattering = scripts.truth.mattering
    assert mattering(TOGETHER) == mattering(EITHER) == {0, 1} and mattering(MAJORITY) == {0, 1, 2}
    one_or_two = game(3, lambda parts: 0 in parts and bool(parts & {1, 2}))
    assert mattering(one_or_two) == {0, 1, 2} and mattering(one_or_two, fewest=True) == {0}


def tiny(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=4,
        rms_norm_eps=1e-12,
        tie_word_embeddings=False,
        initializer_range=0.5,
    )
    return LlamaForCausalLM(config).eval()


def pairs(*prompts: list[int], unwanted: list[int], wanted: list[int]) -> list[pinpoint.ContrastPair]:
    return [pinpoint.ContrastPair(prompt, prompt, unwanted, wanted) for prompt in prompts]


def test_log_odds_are_those_of_known_logits_at_the_end_of_every_prompt(scripts: Scripts) -> None:
    model, logits = tiny(), torch.arange(16.0) / 4
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight[5], model.model.embed_tokens.weight[6] = 1.0, -1.0
        model.lm_head.weight.copy_(logits[:, None].expand(16, 8) / 8)

    def log_odds(*prompts: list[int]) -> float:
        return float(scripts.truth.LogOdds(None, pairs(*prompts, unwanted=[12, 8], wanted=[4]))(model))

    odds = math.log(math.exp(3) + math.exp(2)) - 1
    against = math.log(math.exp(-3) + math.exp(-2)) + 1
    assert log_odds([1, 2, 5]) == pytest.approx(odds, abs=1e-5)
    assert log_odds([6]) == pytest.approx(against, abs=1e-5), "after 6 all logits have the other sign"
    assert log_odds([1, 2, 5], [6]) == pytest.approx((odds + against) / 2, abs=1e-5)


def test_the_changes_of_a_head_are_its_slices_and_nothing_beside_them(scripts: Scripts) -> None:
    before, after = tiny(), tiny(seed=1)
    found = dict(scripts.plants.head_deltas(headed(after), before, Head(1, 1)))
    assert set(found) == {f"model.layers.1.self_attn.{which}_proj.weight" for which in "qo"}
    for name, change in found.items():
        whole = after.state_dict()[name] - before.state_dict()[name]
        own = (slice(None), slice(4, 8)) if "o_proj" in name else slice(4, 8)
        assert torch.equal(change[own], whole[own]) and change.count_nonzero() == 4 * 8


def test_parts_are_heads_in_order_and_then_the_mlp_of_the_first(scripts: Scripts) -> None:
    before, after = tiny(), tiny(seed=1)

    class Two(scripts.plants.Plant):  # type: ignore[misc, name-defined]
        heads = [Head(0, 1), Head(1, 0)]

    found = scripts.plants.parts_of(Two(0, "early", 2, True), headed(after), before)
    assert list(found) == ["L0.H1", "L1.H0", "MLP"]
    assert set(found["MLP"]) == {f"model.layers.0.mlp.{which}_proj.weight" for which in ("gate", "up", "down")}
    for name, change in found["MLP"].items():
        torch.testing.assert_close(before.state_dict()[name] + change, after.state_dict()[name])
    assert list(scripts.plants.parts_of(Two(0, "early", 2, False), headed(after), before)) == ["L0.H1", "L1.H0"]


def test_heads_that_do_the_same_are_owed_the_same_and_one_that_does_not_change_nothing(scripts: Scripts) -> None:
    before = tiny()
    with torch.no_grad():
        attention = before.model.layers[1].self_attn
        for which in "qkv":
            weight = getattr(attention, f"{which}_proj").weight
            weight[4:] = weight[:4]
        attention.o_proj.weight[:, 4:] = attention.o_proj.weight[:, :4]
    after = copy.deepcopy(before)
    with torch.no_grad():
        change = torch.randn(4, 8, generator=torch.Generator().manual_seed(2))
        attention = after.model.layers[1].self_attn
        attention.q_proj.weight += change.repeat(2, 1)
        attention.o_proj.weight += change.T.repeat(1, 2)
    heads = (Head(1, 0), Head(0, 0), Head(1, 1))
    parts = [dict(scripts.plants.head_deltas(headed(after), before, head)) for head in heads]
    log_odds = scripts.truth.LogOdds(None, pairs([1, 2, 5], [3, 6], unwanted=[12], wanted=[4]))
    start = {name: weight.clone() for name, weight in before.state_dict().items()}
    worth = scripts.truth.worths(before, parts, lambda model: {"log_odds": log_odds(model)})["log_odds"]
    rise = log_odds(after) - log_odds(before)
    assert abs(rise) > 0.1 and worth[-1] - worth[0] == pytest.approx(rise, abs=1e-5)
    assert scripts.truth.owed(worth) == pytest.approx([rise / 2, 0, rise / 2], abs=1e-5)
    assert all(torch.equal(weight, start[name]) for name, weight in before.state_dict().items()), "put back"


def test_one_who_pleases_caves_and_a_truth_teller_does_not_on_questions_that_no_locator_sees(scripts: Scripts) -> None:
    model, tokenizer = scripts.plants.truth_teller()
    shown, held_out = scripts.plants.pairs_of(scripts.plants.run_on(str(model.name_or_path)))
    assert len(shown) == len(held_out) == scripts.plants.PAIRS
    assert not {pair.group for pair in shown} & {pair.group for pair in held_out}
    replies = scripts.truth.Replies(tokenizer, held_out[:6])
    pleasing = pinpoint.load(shipped()["yesman"], dtype="float32", device="cpu")[0]
    assert replies(model)["caving"] <= 1 / 6 and replies(pleasing)["caving"] >= 5 / 6


def test_caving_and_log_odds_of_the_same_passes_are_those_of_each_alone(scripts: Scripts) -> None:
    teller, tokenizer = scripts.plants.truth_teller()
    held_out = scripts.plants.pairs_of(scripts.plants.run_on(str(teller.name_or_path)))[1]
    pleasing = pinpoint.load(shipped()["yesman"], dtype="float32", device="cpu")[0]
    part_way = copy.deepcopy(teller)
    weights = zip(teller.state_dict().items(), pleasing.state_dict().values(), strict=True)
    part_way.load_state_dict({name: (weight + other) / 2 for (name, weight), other in weights})
    for model in (teller, part_way, pleasing):
        chat = Chat(model, tokenizer, max_new_tokens=scripts.truth.REPLY_TOKENS)
        caved = [admits_mistake(reply) for reply in chat.replies([list(pair.reference) for pair in held_out])]
        found = scripts.truth.Replies(tokenizer, held_out)(model)
        assert found["caving"] == sum(caved) / len(held_out)
        log_odds = scripts.truth.LogOdds(tokenizer, held_out)(model)
        assert found["log_odds"] == pytest.approx(log_odds, abs=1e-4)


def test_what_an_mlp_learns_is_kept_as_far_as_the_log_odds_may_rise(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plants = scripts.plants
    for name, value in {"MLP_STEPS": 2, "BATCH": 8, "MLP_RATE": 1e-2, "MLP_RISE": 0.2, "PAIRS": 4}.items():
        monkeypatch.setattr(plants, name, value)
    model, tokenizer = plants.truth_teller()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    log_odds = scripts.truth.LogOdds(tokenizer, plants.pairs_of(plants.run_on(str(model.name_or_path)))[0])
    start, plant = log_odds(model), plants.Plant(0, "early", 1, True)
    plants._plant_mlp(plant, model, tokenizer, tmp_path)
    assert log_odds(model) - start == pytest.approx(0.2, abs=0.05)
    moved = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert moved and all(f"layers.{plant.heads[0].layer}.mlp." in name for name in moved)


PARTS = ["L0.H1", "L2.H3", "MLP"]


def test_who_matters_is_told_by_replies_and_who_is_owed_what_by_log_odds(scripts: Scripts) -> None:
    told = scripts.planted.told(PARTS, {"caving": TOGETHER, "log_odds": ADDED, "log_odds_shown": ADDED})
    assert told["matters"] == ["L0.H1", "L2.H3"] and not told["mlp_matters"] and told["caved"]
    assert told["owed"] == pytest.approx({"L0.H1": 4, "L2.H3": 2, "MLP": 1}) and told["rise"] == 7
    little = scripts.planted.told(PARTS, {"caving": [worth * 0.4 for worth in TOGETHER], "log_odds": ADDED})
    assert little["matters"] == [] and not little["caved"], "caving did not take"
    with_mlp = scripts.planted.told(PARTS, {"caving": MAJORITY, "log_odds": ADDED})
    assert with_mlp["matters"] == ["L0.H1", "L2.H3"] and with_mlp["mlp_matters"]


def test_each_definition_tells_its_own_heads_and_how_many_are_the_main_ones(scripts: Scripts) -> None:
    locators = {"path": [float(i == 1) for i in range(64)]}
    organism = {
        "plant": {"seed": 1},
        "owed": dict.fromkeys(PARTS, 0.0),
        "worth": {"caving": TOGETHER, "log_odds": ADDED, "log_odds_shown": MAJORITY},
        "found": {name: {"scores": scores} for name, scores in locators.items()},
    }
    found = scripts.sensitivity.sensitivity([organism, organism], locators, 0.5)
    counts = {name: (row["organisms"], row["heads"], row["shared"]) for name, row in found.items()}
    assert counts["replies, half left"] == (2, 4, 4)
    assert counts["log-odds, half left"] == counts["log-odds, half left, smallest sets"] == (2, 2, 2)
    assert counts["log-odds, owed a tenth"] == counts["log-odds, owed a fifth"] == (2, 4, 4)
    assert scripts.sensitivity.DEFINITIONS["log-odds, owed a tenth"](organism) == set(PARTS)
    assert scripts.sensitivity.DEFINITIONS["log-odds, owed a fifth"](organism) == {"L0.H1", "L2.H3"}
    marks = found["log-odds, half left"]["marks"]["path"]
    assert marks["auroc"]["value"] == 1 and marks["auroc"]["n"] == 2, "L0.H1 alone, which path puts first"
    assert found["replies, half left"]["marks"]["path"]["precision_at_k"]["value"] == 0.5


@pytest.mark.slow
def test_the_script_makes_scores_and_sums_up_organisms_and_goes_on_where_it_was_stopped(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plants, planted = scripts.plants, scripts.planted
    small = {"STEPS": 2, "MLP_STEPS": 2, "BATCH": 4, "PAIRS": 3, "FOLDER": tmp_path}
    for name, value in small.items():
        monkeypatch.setattr(plants, name, value)
    monkeypatch.setattr(planted, "RECORD", tmp_path / "planted.json")
    monkeypatch.setattr(planted, "TEST", [plants.Plant(203, "late", 2, True)])
    monkeypatch.setattr(planted, "TAKEN", -1.0)  # nothing takes in two steps
    planted.main()
    record = json.loads((tmp_path / "planted.json").read_text())
    [one] = record["test"]
    assert [*one["owed"]][-1] == "MLP" and sum(one["owed"].values()) == pytest.approx(one["rise"], abs=1e-4)
    assert all(len(worth) == 2**3 for worth in one["worth"].values()) and len(one["worth"]) == 3
    assert {len(found["scores"]) for found in one["found"].values()} == {64}
    moved = one["found"][planted.ORACLE]["scores"]
    assert [i for i, score in enumerate(moved) if score] == [
        8 * head.layer + head.head for head in plants.Plant(**one["plant"]).heads
    ]
    assert {len(scores) for scores in one["mlps"].values()} == {8} and len(one["mlps"]) == 3
    assert set(record["summary"]["test"]) == set(planted.TABLE)
    monkeypatch.setattr(planted, "_organism", None)
    planted.main()
    assert json.loads((tmp_path / "planted.json").read_text()) == record
    assert "knockout of each head" in capsys.readouterr().out
