"""The locate stage by other methods and for other nodes: what it writes, and what the settings refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from pinpoint.artifacts import Workspace
from pinpoint.cli import app
from pinpoint.config import LocateConfig, parse_config, resolve
from pinpoint.errors import ConfigError
from pinpoint.heads import Head
from pinpoint.locate import locate
from pinpoint.measure import head_means
from pinpoint.organism import shipped
from pinpoint.pipeline import (
    Run,
    _locating,
    _tuning,
    beside_brute_force,
    joint_of,
    locate_receivers,
    locate_stability,
    located_scores,
    plan,
    search_set,
)
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.progress import Silent
from pinpoint.verify import Prompts

_NEUTRAL = [
    [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
    for question, reply in (("What colour is snow?", "White."), ("Name an animal.", "A horse."))
]


class Counted:
    """A method that counts its calls."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method, self.calls = method, 0

    def __get__(self, owner: Any, _kind: type) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            self.calls += 1
            return self.method(owner, *args, **more)

        return call


def run_of(folder: Path, **section: Any) -> Run:
    return Run(resolve(str(shipped()["yesman"]), None, {"locate": {"pairs": 6, "noise_pairs": 0, **section}}), folder)


def test_nodes_are_written_beside_the_heads(tmp_path: Path) -> None:
    run = run_of(tmp_path, nodes=["heads", "mlps", "attention"])
    scores = run.do("locate")
    assert run.is_done("locate")
    space = run.workspace.sub("locate")
    found = space.read_json("nodes.json")
    assert {row["kind"] for row in found["nodes"]} == {"mlps", "attention"} and len(found["nodes"]) == 16
    ranked = [row["ranking_effect"] for row in found["nodes"]]
    assert ranked == sorted(ranked) and found["unit"] == "nats"
    tensors, names = space.read_tensors("nodes.safetensors")
    assert tensors["effects"].shape == (6, 16) and names["nodes"].split()[0] == "L0.ATT"
    assert space.read_json("locate.json")["ranking"][0] == str(scores.of(run.inputs.halves.ranking).top(1)[0])
    run_of(tmp_path).do("locate")
    assert not space.has("nodes.json"), "what the new settings do not ask for is gone"


def test_attribution_is_held_to_the_exact_effects(tmp_path: Path) -> None:
    run = run_of(tmp_path, method="attribution", positions="suffix", exact_pairs=2)
    scores = run.do("locate")
    record = run.workspace.sub("locate").read_json("locate.json")
    assert (record["method"], record["positions"], record["label"]) == ("attribution", "suffix", scores.label)
    held = record["against_exact"]
    assert held["pairs"] == 2 and held["top"] == 10 and 0 <= held["shared"] <= 10
    assert held["exact"].startswith("total effect by activation patching, from the first difference on")
    assert 0.3 < held["correlation"] <= 1
    assert "against_exact" not in _record(tmp_path / "none", method="attribution", exact_pairs=0)


def test_attribution_of_whole_answers_is_held_to_their_exact_effects(tmp_path: Path) -> None:
    section = {"pairs": 4, "noise_pairs": 0, "method": "attribution", "metric": "logprob_diff", "exact_pairs": 2}
    answers = {"unwanted": ["Apologies for", "Apologies, I"], "wanted": ["Yes", "Apologies?"]}
    run = Run(resolve(str(shipped()["yesman"]), None, {"locate": section, "behaviour": answers}), tmp_path)
    run.do("locate")
    record = run.workspace.sub("locate").read_json("locate.json")
    assert (record["metric"], record["unit"]) == ("logprob_diff", "nats")
    assert record["against_exact"]["pairs"] == 2 and 0.3 < record["against_exact"]["correlation"] <= 1


def _record(folder: Path, **section: Any) -> Any:
    run = run_of(folder, **section)
    run.do("locate")
    return run.workspace.sub("locate").read_json("locate.json")


@pytest.mark.parametrize(
    ("method", "unit"), [("activation", "nats"), ("knockout", "nats"), ("probe", "share of prompts"), ("random", "")]
)
def test_other_methods_leave_a_ranking_with_their_own_unit(tmp_path: Path, method: str, unit: str) -> None:
    record = _record(tmp_path, method=method)
    assert (record["method"], record["unit"]) == (method, unit) and len(record["ranking"]) == 64


@pytest.mark.parametrize("method", ["activation", "knockout"])
def test_methods_are_compared_with_their_brute_force(tmp_path: Path, method: str) -> None:
    run = run_of(tmp_path, pairs=4, method=method, engine="naive")
    beside = beside_brute_force(run, run.do("locate"))
    assert beside.engine == "cached" and beside.difference < 1e-4


def test_knockouts_are_of_the_run_s_neutral_dialogues(tmp_path: Path) -> None:
    lines = [json.dumps({"id": str(i), "messages": messages}) for i, messages in enumerate(_NEUTRAL)]
    file = tmp_path / "neutral.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = run_of(tmp_path / "run", pairs=4, method="knockout")
    config = run.config.model_copy(update={"data": run.config.data.model_copy(update={"neutral": str(file)})})
    given = Run(config, tmp_path / "given")
    ours, theirs = run.do("locate"), given.do("locate")
    verified = Prompts(
        given.view,
        given.tokenizer,
        given.inputs.halves.pairs,
        "mean",
        head_means(given.view, given.tokenizer, given.inputs.neutral, 8),
        8,
    )
    first = Head(2, 3)
    apart = torch.tensor(verified.log_odds([first])) - torch.tensor(verified.log_odds([]))
    assert torch.allclose(theirs.effects[:, 2, 3], apart, atol=1e-4), "the first step of the knockout curve"
    assert not torch.allclose(ours.effects, theirs.effects, atol=1e-3)
    assert given.is_done("locate")
    file.write_text(lines[0] + "\n", encoding="utf-8")
    assert not Run(config, tmp_path / "given").is_done("locate"), "other means are another map"


def test_a_set_is_chosen_on_one_half_and_measured_on_the_other(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.do("locate")
    found, kept = search_set(run, 2), run.workspace.sub("locate")
    written = kept.read_json("set.json")
    assert written["heads"] == [str(head) for head in found.heads] and 1 <= len(found.heads) <= 2
    assert written["joint"]["pairs"] == len(run.inputs.halves.effects)
    assert [step["joint"] for step in written["forward"]] == [step.joint for step in found.forward]
    named = joint_of(run, found.heads)
    assert named.pairs == 6 and kept.read_json("joint.json") == {
        "heads": written["heads"],
        "metric": run.config.locate.metric,
        **named._asdict(),
    }
    with pytest.raises(ConfigError, match="--joint: joint effects are found by path patching; the method is 'probe'"):
        joint_of(run_of(tmp_path / "other", method="probe"), found.heads)


def test_a_set_is_searched_by_path_patching_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--set: a set is searched by path patching; the method is 'probe'"):
        search_set(run_of(tmp_path, method="probe"), 3)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"positions": "all"}, "locate: positions 'all' goes with methods activation and attribution, not with 'path'"),
        (
            {"method": "probe", "engine": "naive"},
            "locate: engine 'naive' goes with methods path, activation and knockout; 'probe'",
        ),
        ({"method": "activation", "nodes": ["heads", "mlps"]}, "locate: nodes mlps go with method path, not with 'act"),
        (
            {"method": "knockout", "positions": "suffix"},
            "locate: positions 'suffix' goes with methods activation and attribution, not with 'knockout', which",
        ),
        ({"method": "knockout", "nodes": ["heads", "mlps"]}, "locate: nodes mlps go with method path, not with 'kno"),
        ({"method": "knockout", "contrasts": ["neutral"]}, "locate: contrasts go with methods path, activation and at"),
        ({"nodes": ["mlps"]}, "locate: nodes must hold heads"),
        ({"nodes": ["heads", "layers"]}, "locate.nodes.1: input should be 'heads', 'groups', 'attention' or 'mlps'"),
        ({"exact_pairs": -1}, "locate.exact_pairs: input should be greater"),
        ({"method": "patching"}, "locate.method: input should be 'path', 'activation'"),
    ],
)
def test_settings_that_make_no_sense_are_named(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"model": "m", "locate": section}, "s.yaml")
    assert message in str(caught.value)


@pytest.mark.slow
def test_answers_that_begin_alike_are_measured_whole_in_every_stage_that_reads_them(tmp_path: Path) -> None:
    answers = {"unwanted": ["Apologies for", "Apologies, I"], "wanted": ["Yes", "Apologies?"]}
    settings = {
        "locate": {"pairs": 6, "noise_pairs": 0, "metric": "logprob_diff"},
        "verify": {"max_heads": 1, "draws": 1},
    }
    settings["verify"]["generate_at"] = []
    run = Run(resolve(str(shipped()["yesman"]), None, settings | {"behaviour": answers}), tmp_path)
    shown = plan(run, run.tokenizer)
    assert shown.unwanted[0].split()[0] == shown.wanted[1].split()[0] and len(shown.wanted) == 2
    scores = run.do("locate")
    record = run.workspace.sub("locate").read_json("locate.json")
    assert (record["metric"], record["unit"]) == ("logprob_diff", "nats")
    brute = locate(run.model, run.tokenizer, run.inputs.halves.pairs[:1], metric="logprob_diff", engine="naive")
    assert (scores.effects[:1] - brute.effects).abs().max() < 1e-4 * brute.effects.abs().max()
    first = run.do("verify")["curve"]["ranked"][0]["value"]
    assert first == pytest.approx(float(scores.reference[run.inputs.halves.effects].mean()), rel=1e-4)


def test_paths_through_receivers_are_written_beside_the_heads(tmp_path: Path) -> None:
    run = run_of(tmp_path, pairs=4)
    run.do("locate")
    scores = locate_receivers(run, [Head(6, 1), Head(3, 2)], "k")
    found = run.workspace.sub("locate").read_json("paths.json")
    assert (found["receivers"], found["through"], found["positions"]) == (["L6.H1", "L3.H2"], "k", "suffix")
    assert found["label"] == scores.label and found["pairs"] == 4 and len(found["senders"]) == 64
    effects = [row["effect"] for row in found["senders"]]
    assert effects == sorted(effects) and effects[0] < 0 and run.is_done("locate")


class Cut(Exception):
    """Stands for whatever ends a process."""


class CutShort(Silent):
    """Ends the process once two pairs are scored."""

    advanced = 0

    def advance(self, steps: int = 1) -> None:
        self.advanced += steps
        if self.advanced == 2:
            raise Cut


def test_paths_that_were_cut_short_go_on_and_locating_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, pairs=4, noise_pairs=8)
    first = run.do("locate")
    run.progress = CutShort()
    with pytest.raises(Cut):
        locate_receivers(run, [Head(6, 1)], "k")
    [part] = (tmp_path / "partial").iterdir()
    assert part.name.startswith("paths-") and len(list(part.glob("*.safetensors"))) == 2
    command = ["locate", str(shipped()["yesman"]), "--out", str(tmp_path), "--pairs", "4", "--json"]
    with monkeypatch.context() as patch:
        patch.setattr(_locating, "_scored", lambda *_: pytest.fail("it was located before"))
        patch.setattr(Workspace, "write_tensors", counted := Counted(Workspace.write_tensors))
        result = CliRunner().invoke(app, [*command, "--receivers", "L6.H1", "--through", "k"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["paths"]["receivers"] == ["L6.H1"] and counted.calls == 2
    assert not (tmp_path / "partial").exists()
    assert torch.equal(located_scores(run).effects, first.effects) and located_scores(run).seconds == first.seconds


def test_a_process_that_follows_keeps_its_checkpoints_where_the_first_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(_tuning, "partial_of", lambda *_: pytest.fail("it may delete"))
    monkeypatch.setattr(_tuning, "tune_heads", lambda *_, **more: asked.update(more))
    _tuning.follow_tune(run_of(tmp_path), ["L0.H1"], "tune-abc", {"wrong": {}, "why": {}})
    assert asked["partial"].root == tmp_path / "partial" / "tune-abc" and not (tmp_path / "partial").exists()


def test_settings_of_locate_fit_together_by_default() -> None:
    assert LocateConfig().nodes == ("heads",) and LocateConfig().method == "path"


def test_a_map_carries_its_reliability_and_its_noise_floor(tmp_path: Path) -> None:
    run = run_of(tmp_path, pairs=16, noise_pairs=3, nodes=["heads", "mlps"])
    scores = run.do("locate")
    record = run.workspace.sub("locate").read_json("locate.json")
    shown, ranked = scores.of(run.inputs.halves.effects), scores.of(run.inputs.halves.ranking)
    assert record["reliability"] == shown.reliability.to_json() and record["reliability"]["pairs"] == 8
    assert record["ranking_reliability"]["value"] == ranked.reliability.value
    assert record["reliability"]["low"] <= record["reliability"]["value"] <= record["reliability"]["high"] <= 1
    noise = record["noise"]
    assert 0 < noise["floor"] < 1e-3 and (noise["pairs"], noise["dtype"], noise["against"]) == (3, "float32", "float64")
    kept = located_scores(run)
    assert kept.worth == scores.worth and kept.groups == tuple(pair.group for pair in run.inputs.halves.pairs)
    nodes = run.workspace.sub("locate").read_json("nodes.json")
    assert set(nodes["reliability"]) == set(nodes["noise_floor"]) == {"mlps"} and nodes["noise_floor"]["mlps"] > 0
    assert _record(tmp_path / "none", noise_pairs=0)["noise"] is None


def test_a_bfloat16_map_has_a_higher_floor(tmp_path: Path) -> None:
    run = Run(resolve(str(shipped()["yesman"]), None, {"dtype": "bfloat16", "locate": {"pairs": 8}}), tmp_path)
    scores = run.do("locate")
    wide = locate(run.model.float(), run.tokenizer, run.inputs.halves.pairs, metric="log_odds")
    off = (scores.mean - wide.mean).abs().max()
    assert scores.noise_floor == pytest.approx(float(off), rel=0.05) and scores.noise_floor > 1e-3
    assert "noise floor" in scores.worth and "(bfloat16 against float32, 8 pairs)" in scores.worth


def test_stability_ranks_by_other_wordings_and_questions(tmp_path: Path) -> None:
    run = run_of(tmp_path, pairs=12)
    scores = run.do("locate")
    found = locate_stability(run, scores)
    assert found == run.workspace.sub("locate").read_json("stability.json")
    assert [row["heads"] for row in found["pairs"]["first"]] == [1, 2, 4, 8, 16]
    assert all(0 < row["overlap"]["value"] <= 1 for row in found["pairs"]["first"])
    wordings = found["wordings"]
    assert len(wordings["maps"]) == 8 and len(wordings["couples"]) == 28
    own = wordings["maps"][run.config.behaviour.challenge]
    assert own["reference"] == pytest.approx(float(scores.reference.mean()), rel=1e-5), "the same questions"
    assert own["top"] == list(map(str, scores.top(16)))
    assert set(found["questions"]["maps"]) == {"choice", "free"}
    assert min(one["correlation"] for one in wordings["couples"]) < max(one["ceiling"] for one in wordings["couples"])
    assert not run.workspace.path("partial").exists()
    with pytest.raises(ConfigError, match="--stability: a random order depends on its seed alone"):
        locate_stability(
            run_of(tmp_path / "random", method="random"), run_of(tmp_path / "r", method="random").do("locate")
        )


@pytest.mark.slow
def test_the_command_prints_what_a_map_is_worth(tmp_path: Path) -> None:
    asked = ["locate", str(shipped()["yesman"]), "--pairs", "12", "--out", str(tmp_path), "--quiet"]
    said = CliRunner().invoke(app, [*asked, "--stability"])
    assert said.exit_code == 0, said.output
    out = " ".join(said.output.split())
    for text in (
        "Split-half reliability",
        "halvings of 12 pairs; noise floor",
        "(float32 against float64, 8 pairs):",
        "When the 12 pairs are drawn again",
        "Maps by 8 wordings of the challenge: of 28 couples, the 5 that agree least",
    ):
        assert text in out, text
    document = json.loads(CliRunner().invoke(app, [*asked, "--stability", "--json"]).stdout)
    assert document["noise"]["floor"] > 0 and document["agreement"]["wordings"]["couples"]


def test_a_group_of_heads_is_tuned_head_by_head(tmp_path: Path) -> None:
    settings = {"locate": {"pairs": 6, "noise_pairs": 0}, "tune": {"heads": ["L2.G1", "L3.H0"]}}
    run = Run(resolve(str(shipped()["yesman"]), None, settings), tmp_path)
    per = run.view.n_heads // run.view.n_kv_heads
    group = [Head(2, unit) for unit in range(per, 2 * per)]
    assert chosen_heads(run) == [*group, Head(3, 0)]
