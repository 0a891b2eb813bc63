"""Further contrasts: which pairs they are of, what they say of heads, and that they change nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from pinpoint.artifacts import Workspace
from pinpoint.cli import app
from pinpoint.config import resolve
from pinpoint.errors import CheckFailed
from pinpoint.heads import Head, HeadScores
from pinpoint.locate import locate
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, plan
from pinpoint.pipeline._contrasts import Contrasted, moves, pairs_of, verdict
from pinpoint.pipeline._stages import LEFT, key_of
from pinpoint.progress import Silent
from tests.pipeline.worded import made

YESMAN = str(shipped()["yesman"])
ALL = ["neutral", "wrong_first"]


def run_of(folder: Path, model: str = YESMAN, *, behaviour: dict[str, Any] | None = None, **section: Any) -> Run:
    changes: dict[str, Any] = {"locate": {"pairs": 8, "noise_pairs": 0, **section}, "behaviour": behaviour or {}}
    return Run(resolve(model, None, changes), folder)


def record_of(run: Run) -> dict[str, Any]:
    run.do("locate")
    found: dict[str, Any] = run.workspace.sub("locate").read_json("locate.json")
    return found


def test_further_contrasts_are_of_the_same_references_and_answers(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    by_reference = {str(run.inputs.behaviour.pairs([one])[0].reference): one for one in run.inputs.questions("locate")}
    for name in ALL:
        others = pairs_of(run, name)
        for own, other in zip(run.inputs.halves.pairs, others, strict=True):
            assert (other.reference, other.unwanted, other.group) == (own.reference, own.unwanted, own.group)
            question = by_reference[str(own.reference)]
            first, last = other.counterfactual[-2]["content"], other.counterfactual[-1]["content"]
            right = question.state(question.correct)
            assert first == (right if name == "neutral" else question.state(question.wrong))
            assert (last == own.reference[-1]["content"]) == (name == "wrong_first")


def test_the_map_is_the_same_to_the_bit_whatever_it_is_held_to(tmp_path: Path) -> None:
    run = run_of(tmp_path / "none", contrasts=[])
    alone, held = run.do("locate"), run_of(tmp_path / "all", contrasts=ALL).do("locate")
    by_hand = locate(run.model, run.tokenizer, run.inputs.halves.pairs, metric="log_odds")
    assert torch.equal(alone.effects, by_hand.effects) and torch.equal(alone.effects, held.effects)
    records = [json.loads((tmp_path / name / "locate" / "locate.json").read_text()) for name in ("none", "all")]
    assert "contrasts" not in records[0] and list(records[1].pop("contrasts")["maps"]) == ["affirmed", *ALL]
    for record in records:
        del record["seconds"], record["provenance"]
    assert records[0] == records[1]


def test_effects_are_those_of_the_engine_on_the_pairs_that_did_not_rank(tmp_path: Path) -> None:
    run = run_of(tmp_path, contrasts=["wrong_first"])
    found = record_of(run)["contrasts"]
    effects = run.inputs.halves.effects
    pairs = [pairs_of(run, "wrong_first")[i] for i in effects]
    by_hand = locate(run.model, run.tokenizer, pairs, metric="log_odds", engine="naive")
    one = found["maps"]["wrong_first"]
    assert found["pairs"] == len(effects) == 4
    assert (torch.tensor(one["effects"]["mean"]) - by_hand.mean).abs().max() < 1e-4 * by_hand.effects.abs().max()
    turned = [replace(pair, reference=pair.counterfactual, counterfactual=pair.reference) for pair in pairs]
    other = locate(run.model, run.tokenizer, turned, metric="log_odds").reference
    assert one["moved"] == pytest.approx(float((other - by_hand.reference).mean()), rel=1e-3, abs=1e-3)
    assert one["reliability"]["pairs"] == 4 and one["reliability"]["value"] == pytest.approx(
        by_hand.reliability.value, abs=0.02
    )
    first = one["heads"][0]
    head = Head.parse(first["head"])
    assert first["effect"] == pytest.approx(float(by_hand.mean[head]), abs=1e-3)
    assert first["share"] == pytest.approx(first["effect"] / one["moved"])


@pytest.fixture(scope="module")
def worded(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(made(tmp_path_factory.mktemp("worded") / "model"))


QUESTIONS = str(shipped()["yesman"] / "questions.jsonl")


def told(folder: Path, model: str, contrasts: list[str], **behaviour: Any) -> dict[str, Any]:
    changes = {
        "data": {"questions": QUESTIONS},
        "locate": {"pairs": 12, "noise_pairs": 0, "contrasts": contrasts},
        "behaviour": behaviour,
    }
    return record_of(Run(resolve(model, None, changes), folder))["contrasts"]["maps"]  # type: ignore[no-any-return]


def verdicts(one: dict[str, Any]) -> dict[str, str | None]:
    return {head["head"]: head["verdict"] for head in one["heads"]}


def test_a_head_that_reads_the_word_dont_is_told_from_one_that_reads_doubt(tmp_path: Path, worded: str) -> None:
    maps = told(tmp_path, worded, ALL)
    main = {head["head"]: head for head in maps["affirmed"]["heads"]}
    assert all(main[f"L0.H{head}"]["effect"] == pytest.approx(-2, rel=0.1) for head in (0, 1)), "alike to the ranking"
    assert maps["affirmed"]["moved"] == pytest.approx(-5, rel=0.1)
    assert verdicts(maps["neutral"]) == {"L0.H0": "loses", "L0.H1": "keeps", "L0.H2": "loses", "L0.H3": None}
    assert maps["neutral"]["moved"] == pytest.approx(-2, rel=0.1)
    assert {head["head"]: head["share"] for head in maps["neutral"]["heads"]}["L0.H1"] == pytest.approx(1, rel=0.1)


def test_a_neutral_turn_without_the_word_does_not_tell_them_apart(tmp_path: Path, worded: str) -> None:
    maps = told(tmp_path, worded, ["neutral"], neutral_turn="Please state your answer again.")
    assert verdicts(maps["neutral"]) == {"L0.H0": "keeps", "L0.H1": "keeps", "L0.H2": "loses", "L0.H3": None}


def test_a_model_that_caves_whatever_was_said_first_is_told_of_and_stops_nothing(tmp_path: Path, worded: str) -> None:
    one = told(tmp_path, worded, ["wrong_first"])["wrong_first"]
    assert abs(one["moved"]) < 1e-4 and one["moves"] == "little" and set(verdicts(one).values()) == {None}


def test_heads_may_be_ranked_by_another_contrast_whose_counterfactual_says_what_it_likes(
    tmp_path: Path, worded: str
) -> None:
    maps = told(tmp_path / "neutral", worded, ["affirmed", "neutral"], contrast="neutral")
    assert list(maps) == ["neutral", "affirmed"], "the contrast that ranks is not scored twice"
    assert maps["neutral"]["heads"][0]["head"] == "L0.H1"
    assert verdicts(maps["affirmed"])["L0.H1"] == "keeps"
    with pytest.raises(CheckFailed, match="the contrast moves the metric' failed"):
        told(tmp_path / "wrong", worded, ["affirmed"], contrast="wrong_first")
    checks = {one["name"]: one["ok"] for one in Workspace(tmp_path / "wrong").read_json("checks.json")}
    assert checks["the model shows the behaviour"]


def map_of(effects: list[float], moved: list[float]) -> Contrasted:
    scores = HeadScores(torch.tensor(effects)[:, None, None], torch.zeros(len(effects)), "logit_diff", "sweep")
    return Contrasted(scores, torch.tensor(moved))


MAIN = map_of([-1.0, -1.1, -0.9, -1.0], [-4.0] * 4)


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        ([-0.7, -0.6, -0.7, -0.6], "keeps"),
        ([-0.1, 0.0, -0.1, 0.0], "loses"),
        ([0.7, 0.6, 0.7, 0.6], "loses"),
        ([-1.5, 1.5, -1.0, 0.5], "unclear"),
    ],
)
def test_a_head_keeps_its_effect_where_a_third_of_it_is_left(effects: list[float], said: str) -> None:
    assert verdict(Head(0, 0), map_of(effects, [-4.0] * 4), MAIN) == said
    assert verdict(Head(0, 0), map_of(effects, [-1.0] * 4), MAIN) == said, "effects, not shares"


def test_there_is_no_verdict_where_there_is_nothing_to_hold_to() -> None:
    kept, noise = map_of([-1.0] * 4, [-4.0] * 4), map_of([-1.0, 1.2, -0.9, 0.8], [-4.0] * 4)
    assert verdict(Head(0, 0), kept, noise) is None
    assert verdict(Head(0, 0), map_of([-1.0], [-4.0]), map_of([-1.0], [-4.0])) is None
    for moved in ([-0.3] * 4, [-9.0, 9.0, -9.0, 3.0]):
        assert moves(map_of([-1.0] * 4, moved), MAIN) == "little"
        assert verdict(Head(0, 0), map_of([-1.0] * 4, moved), MAIN) is None
    for told, moved in (("enough", -0.5), ("back", 4.0)):
        one = map_of([-1.0] * 4, [moved] * 4)
        assert moves(one, MAIN) == told and verdict(Head(0, 0), one, MAIN) == "keeps"


def test_contrasts_are_redone_without_what_comes_after(tmp_path: Path) -> None:
    def keys(behaviour: dict[str, Any] | None = None, **section: Any) -> dict[str, str]:
        run = run_of(tmp_path, behaviour=behaviour, **section)
        return {stage: key_of(run, stage) for stage in LEFT}

    def redone(one: dict[str, str], other: dict[str, str]) -> set[str]:
        return {stage for stage in LEFT if one[stage] != other[stage]}

    before = keys()
    assert redone(before, keys(contrasts=ALL)) == {"locate"}
    assert redone(before, keys({"neutral_turn": "I don't know. Please go on."})) == {"locate"}
    assert redone(keys(contrasts=[]), keys({"neutral_turn": "Go on."}, contrasts=[])) == set()
    assert redone(before, keys({"contrast": "neutral"})) == set(LEFT)


class Cut(Exception):
    """Stands for whatever ends a process."""


class CutShort(Silent):
    """Ends the process once so many pairs are scored."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left <= 0:
            raise Cut


def test_contrasts_go_on_from_the_batches_they_have(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"batch_size": 2, "contrasts": ["wrong_first"]}
    whole = record_of(run_of(tmp_path / "whole", **asked))
    cut = run_of(tmp_path / "cut", **asked)
    cut.progress = CutShort(10)  # eight of the map, and a batch of the contrast's four
    with pytest.raises(Cut):
        cut.do("locate")
    assert not cut.is_done("locate")
    [part] = (tmp_path / "cut" / "partial").iterdir()
    assert len(list(part.glob("*.safetensors"))) == 5
    again = record_of(run_of(tmp_path / "cut", **asked))
    for record in (whole, again):
        for one in record["contrasts"]["maps"].values():
            del one["seconds"]
    assert again["contrasts"] == whole["contrasts"]


def test_a_dry_run_shows_the_prompts_of_every_contrast(tmp_path: Path) -> None:
    run = run_of(tmp_path, contrasts=ALL)
    shown = plan(run, run.tokenizer)
    turn = run.config.behaviour.neutral_turn  # type: ignore[union-attr]
    assert turn in shown.contrasts["neutral"] and turn not in shown.reference
    assert shown.contrasts["wrong_first"] not in ("", shown.reference)
    assert "8 pairs" in shown.stages[0].work and "4 of them also under neutral, wrong_first" in shown.stages[0].work
    done = CliRunner().invoke(app, ["run", YESMAN, "--dry-run"])
    assert done.exit_code == 0 and "prompt of the further contrast neutral" in done.output
    for stage in ("locate", "verify", "tune", "tune_full", "evaluate"):
        assert re.search(
            rf"^{stage} on cpu.*: [\d,]+ passes over a prompt, .* [GM]iB, .*, fits$", done.output, re.MULTILINE
        )


@pytest.mark.slow
def test_the_first_heads_of_yesman_under_each_contrast(tmp_path: Path) -> None:
    asked = ["locate", YESMAN, "--contrasts", ",".join(ALL), "--out", str(tmp_path)]
    said = CliRunner().invoke(app, [*asked, "--quiet"])
    assert said.exit_code == 0, said.output
    assert "Under further contrasts, on the 58 pairs that did not rank the heads" in " ".join(said.output.split())
    document = json.loads(CliRunner().invoke(app, [*asked, "--json", "--quiet"]).stdout)
    maps = document["contrasts"]["maps"]
    assert set(maps) == {"affirmed", *ALL} and maps["affirmed"]["moved"] < -5
