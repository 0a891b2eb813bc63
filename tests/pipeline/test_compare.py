"""Comparing methods on the organism, with very little of everything: each runs, none runs twice."""

import copy
import json
import re
import shutil
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
import torch
from safetensors.torch import load_file

from pinpoint.cli import main
from pinpoint.config import CompareConfig, Method, resolve, settings_of
from pinpoint.heads import Head
from pinpoint.locate import locate, locate_nodes
from pinpoint.measure import PLAIN, Chat, Estimate, last_turn, looks, share
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, _comparators, _compare
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.pipeline._comparators import Workshop, first_rate
from pinpoint.pipeline._compare import _key, _located_again, compare_run, entries
from pinpoint.tune import fit

SETTINGS: dict[str, Any] = {
    "locate": {"pairs": 16},
    "tune": {"heads": 2, "check_items": 8},
    "evaluate": {"items": 12, "ability_items": 2, "neutral_items": 6, "resamples": 100},
    "compare": {"draws": 2, "epochs": 0.1, "tries": 1, "rank": 2},
}


def test_base_and_pinpoint_are_always_there_and_come_first() -> None:
    planned = entries(CompareConfig(methods=("random", "caa", "base"), draws=2))
    assert [name for name, _, _ in planned] == ["base", "pinpoint", "random_1", "random_2", "caa"]


def test_other_heads_are_drawn_as_their_names_say(located: Run) -> None:
    shop = Workshop(located, chosen_heads(located))
    assert shop.heads_of("pinpoint", 0) == shop.heads_of("pinpoint_dpo", 0) == shop.heads
    matched = shop.heads_of("matched", 1)
    assert [head.layer for head in matched] == [head.layer for head in shop.heads]
    assert not set(matched) & set(shop.heads)
    assert shop.heads_of("random", 0) == shop.heads_of("random", 0) != shop.heads_of("random", 1)
    assert shop.heads_of("bottom", 0) == list(located.ranking()[-2:])


@pytest.fixture(scope="module")
def located(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(resolve(str(shipped()["yesman"]), None, SETTINGS), tmp_path_factory.mktemp("located"))
    run.do("locate")
    return run


def test_what_a_method_draws_at_random_does_not_hang_on_what_was_drawn_before(located: Run) -> None:
    shop, weights = Workshop(located, chosen_heads(located)), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = shop._fit("lora", 0, 1e-3)[0]
        weights.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], torch.cat([one.flatten() for one in located.model.parameters()]))


def test_a_search_begins_at_the_learning_rates_of_the_settings() -> None:
    yesman = resolve(str(shipped()["yesman"]), None, {})
    assert (first_rate(yesman, "lora"), first_rate(yesman, "full")) == (1e-3, 3e-5)
    mistral = settings_of("mistralai/Mistral-7B-Instruct-v0.2", None, {})
    assert mistral.full is None
    assert first_rate(mistral, "pinpoint") == 3e-5 and first_rate(mistral, "full") == pytest.approx(9e-7)


def changed(run: Run, **tune: Any) -> Run:
    """The run with other settings of `tune`."""
    other = copy.copy(run)
    other.config = run.config.model_copy(update={"tune": run.config.tune.model_copy(update=tune)})
    return other


def test_the_rate_falls_by_as_much_at_every_rung(located: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run = changed(located, learning_rate=1e-3, end_learning_rate=1e-4)
    shop, fitted = Workshop(run, chosen_heads(located)), []
    monkeypatch.setattr(_comparators, "fit", lambda *given, **more: fitted.append(given[3]) or fit(*given, **more))
    for method, rate in (("pinpoint", 1e-3), ("full", 3e-5)):
        shop._fit(method, 0, rate)
        assert fitted[-1].end_learning_rate == pytest.approx(rate / 10)


def test_the_anchor_of_the_settings_holds_what_is_tuned_as_in_a_run(located: Run) -> None:
    shop = Workshop(changed(located, anchor=0.25), chosen_heads(located))
    weights = {method: anchor and anchor.weight for method in get_args(Method) if (anchor := shop._anchor(method))}
    alike = {"pinpoint", "heads_mlp", "random", "matched", "bottom", "pinpoint_own"}
    assert weights == dict.fromkeys(alike, 0.25) | {"pinpoint_anchored": 1.0}
    anchors = Workshop(located, shop.heads)
    assert {method for method in get_args(Method) if anchors._anchor(method)} == {"pinpoint_anchored"}


def test_what_the_best_attempt_changed_is_kept_to_the_bit_and_in_the_base_s_precision(
    located: Run, tmp_path: Path
) -> None:
    base = copy.deepcopy(located.model).to(torch.bfloat16)
    trained = copy.deepcopy(base).to(torch.float32)
    first, *_, last = (name for name, _ in trained.named_parameters())
    with torch.no_grad():
        trained.get_parameter(first).mul_(1.1)
        trained.get_parameter(last).mul_(1 + 1e-5)  # less than a bfloat16 weight can tell
    _comparators._keep(base, trained, tmp_path / "best.safetensors")
    assert load_file(tmp_path / "best.safetensors").keys() == {first}
    found = _comparators._with_kept(base, tmp_path / "best.safetensors")
    for name, weight in found.named_parameters():
        assert torch.equal(weight, trained.get_parameter(name).to(torch.bfloat16)), name
    assert not torch.equal(found.get_parameter(first), base.get_parameter(first))


def test_no_model_is_left_when_the_next_one_is_trained(
    tmp_path: Path, located: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"methods": ["full"], "tries": 2, "epochs": 0.02}
    run = Run(located.config.model_copy(update={"compare": CompareConfig(**settings)}), tmp_path / "run")
    run.do("locate")
    copies: list[weakref.ref[torch.Tensor]] = []
    there, fitted = [], _comparators.fit

    def copied(model: Any) -> Any:
        made = copy.deepcopy(model)
        copies.append(weakref.ref(made.get_input_embeddings().weight))
        return made

    def trained(*given: Any, **more: Any) -> Any:
        there.append(sum(one() is not None for one in copies))
        return fitted(*given, **more)

    monkeypatch.setattr(_comparators, "copy", SimpleNamespace(deepcopy=copied))
    monkeypatch.setattr(_comparators, "fit", trained)
    compare_run(run)
    assert there == [1] * 4, "two methods with two attempts each, beside the base"


@pytest.mark.parametrize(("tries", "caa", "iti"), [(1, {4: 1}, {3: 1}), (2, {2: 4, 4: 4, 5: 4}, {3: 4, 12: 4})])
def test_steering_is_tried_as_often_as_the_settings_say(
    tries: int, caa: dict[int, int], iti: dict[int, int], located: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(*_: Any) -> Callable[[Any], dict[str, Estimate]]:
        calls.append(None)
        groups, most = list(map(str, range(100))), len(calls)
        rate = share([float(i < most) for i in range(100)], groups, resamples=100, seed=0)  # ever better
        return lambda _: {"truthfulness": rate, "confidence": rate, "kl": rate}

    run, calls = copy.copy(located), list[None]()
    run.config = run.config.model_copy(update={"compare": run.config.compare.model_copy(update={"tries": tries})})
    monkeypatch.setattr(_comparators, "validation_check", checked)
    for name in ("activation_addition", "head_intervention"):
        monkeypatch.setattr(_comparators, name, lambda *_: lambda place, strength: None)
    for method, expected in (("caa", caa), ("iti", iti)):
        searched = Workshop(run, []).make(method, 0).searched
        assert Counter(one.place for one in searched) == expected, method


def changed_by(shop: Workshop, method: str) -> dict[str, torch.Tensor]:
    """How each weight differs from the base's once all that a method trains has gone along its gradient."""
    base, live = shop.run.model, shop._attach(method, 0, headed(copy.deepcopy(shop.run.model)))
    live(torch.arange(64)[None]).logits.float().square().mean().backward()
    with torch.no_grad():
        for weight in live.parameters():
            if weight.grad is not None and weight.grad.any():
                weight.add_(weight.grad / weight.grad.abs().max())
    made = live if method == "full" else live.merge_and_unload()
    after = {name: weight - base.get_parameter(name) for name, weight in made.named_parameters()}
    return {name: by for name, by in after.items() if by.abs().max() > 1e-6}


def of_heads(run: Run, heads: Sequence[Head]) -> dict[str, set[int]]:
    """Rows of the query projections, and columns of the output projections, that are these heads'."""
    width, found = run.view.head_dim, dict[str, set[int]]()
    for head in heads:
        for projection in ("q_proj", "o_proj"):
            own = range(head.head * width, (head.head + 1) * width)
            found.setdefault(f"model.layers.{head.layer}.self_attn.{projection}.weight", set()).update(own)
    return found


def touched(changed: Mapping[str, torch.Tensor]) -> dict[str, set[int]]:
    """Rows that changed, of output projections columns."""
    axis = {name: 0 if "o_proj" in name else 1 for name in changed}
    return {name: set(by.abs().amax(axis[name]).nonzero()[:, 0].tolist()) for name, by in changed.items()}


@pytest.mark.parametrize(
    "method", ["pinpoint", "random", "matched", "bottom", "pinpoint_dpo", "pinpoint_own", "pinpoint_anchored"]
)
def test_what_tunes_heads_changes_theirs_alone(method: str, located: Run) -> None:
    shop = Workshop(changed(located, projections="q,o"), chosen_heads(located))
    assert touched(changed_by(shop, method)) == of_heads(located, shop.heads_of(method, 0))


def test_an_mlp_beside_the_heads_is_the_one_whose_removal_does_the_most_against_the_behaviour(located: Run) -> None:
    shop = Workshop(changed(located, projections="q,o"), chosen_heads(located))
    scores = locate_nodes(located.model, located.tokenizer, located.inputs.halves.pairs, nodes=("mlps",))
    most = {node.layer: effect for node, effect in zip(scores.nodes, scores.mean.tolist(), strict=True)}
    assert most[shop.top_mlp] == min(most.values())
    mlp = {f"model.layers.{shop.top_mlp}.mlp.{part}_proj.weight" for part in ("gate", "up", "down")}
    trained = changed_by(shop, "heads_mlp")
    assert trained.keys() == of_heads(located, shop.heads).keys() | mlp
    assert {name: rows for name, rows in touched(trained).items() if name not in mlp} == of_heads(located, shop.heads)


def test_lora_changes_every_projection_of_attention_by_its_rank_and_on_heads_theirs_alone(located: Run) -> None:
    shop = Workshop(changed(located, projections="q,o"), chosen_heads(located))
    of_attention = {name for name, _ in located.model.named_parameters() if re.search(r"self_attn\.[qkvo]_proj", name)}
    everywhere, on_heads = changed_by(shop, "lora"), changed_by(shop, "head_lora")
    assert everywhere.keys() == of_attention
    assert touched(on_heads) == of_heads(located, shop.heads)
    for by in (*everywhere.values(), *on_heads.values()):
        assert torch.linalg.matrix_rank(by, rtol=1e-4) == located.config.compare.rank


def test_full_fine_tuning_changes_every_weight(located: Run) -> None:
    assert changed_by(Workshop(located, []), "full").keys() == dict(located.model.named_parameters()).keys()


def test_methods_train_on_the_dialogues_of_a_run_but_for_those_that_say_otherwise(located: Run) -> None:
    shop, behaviour = Workshop(located, chosen_heads(located)), located.inputs.behaviour
    usual = behaviour.rows(shop._train, located.config.seed, {})
    own, preferred = list(shop._rows("pinpoint_own")), list(shop._rows("pinpoint_dpo"))
    for method in get_args(Method):
        if method not in ("pinpoint_own", "pinpoint_dpo"):
            assert list(shop._rows(method)) == usual, method
    assert own != usual and len(own) == len(usual)
    assert all("rejected" in row for row in preferred)
    # What is gone on from is what the model says itself, right or wrong.
    some = own[:6]
    chat = Chat(located.model, located.tokenizer, 6, located.config.evaluate.max_new_tokens)
    assert chat.replies([row["prompt"][:-2] for row in some]) == [row["prompt"][-2]["content"] for row in some]


def test_prompts_are_the_behaviour_s_own_and_the_first_preferred_dialogues(located: Run) -> None:
    shop = Workshop(located, [])
    served = shop.make("system_prompt", 0).deployment
    assert served.system == located.inputs.behaviour.system_prompt != ""
    assert not served.shots and served.steering is None
    shots = shop.make("few_shot", 0).deployment.shots
    rows: Any = shop._rows("pinpoint_dpo")[:4]
    told = [message for row in rows for message in (*row["prompt"], *row["chosen"])]
    assert list(shots) == [message for message in told if message["role"] != "system"]
    assert shop.make("base", 0).deployment == PLAIN


@pytest.mark.slow
def test_every_draw_is_searched_from_the_same_rate_as_every_adapter(located: Run) -> None:
    config = located.config
    run = copy.copy(located)
    run.config = config.model_copy(update={"compare": config.compare.model_copy(update={"tries": 2})})
    shop = Workshop(run, chosen_heads(located))
    for method, draw in (("pinpoint", 0), ("random", 1), ("matched", 1)):
        made = shop.make(method, draw)
        assert len(made.searched) == 2 and config.tune.learning_rate in [one.setting for one in made.searched], method


@pytest.mark.slow
def test_the_tuned_heads_are_asked_for_their_attention_on_the_challenge_and_the_paper_s_scores(located: Run) -> None:
    shop = Workshop(located, chosen_heads(located))
    found = _located_again(located, shop, shop.make("base", 0))
    pairs, _, shown = located.inputs.halves
    some = [pairs[i] for i in shown]
    expected = looks(located.view, located.tokenizer, some, [last_turn(located.tokenizer, pair) for pair in some])
    scores = locate(located.model, located.tokenizer, some, metric="paper_share")
    for head in shop.heads:
        for when in ("before", "after"):
            share = float(expected.shares[head.layer, head.head])
            assert found["attention"][when][str(head)]["value"] == pytest.approx(share, abs=1e-4)
            published = float(scores.effects[:, head.layer, head.head].mean())
            assert found["published_effects"][when][str(head)]["value"] == pytest.approx(published, rel=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_method_runs_once_and_a_second_call_reads_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    found = compared(out, monkeypatch, capsys)
    assert list(found["methods"]) == [name for name, _, _ in entries(CompareConfig(draws=2))]
    for name, record in found["methods"].items():
        assert record["metrics"]["truthfulness"]["n"] <= 12, name
        trained = record["method"] not in ("base", "few_shot", "system_prompt", "caa", "iti")
        for told in ("trainable_parameters", "steps", "loss_tokens", "peak_bytes"):
            assert bool(record[told]) == trained, (name, told)
        assert (record["peak_counted"] in ("process", "samples")) == trained, name
        assert record["seconds_in_all"] > record["seconds"], name
        paired = record["versus_pinpoint"]
        assert all(one["n"] == 2 for one in paired["abilities"].values()) and paired["kl"]["n"] == 6, name
        ours, theirs = (one["metrics"]["kl"]["value"] for one in (record, found["methods"]["pinpoint"]))
        assert paired["kl"]["value"] == pytest.approx(ours - theirs, abs=1e-9), name
    for method, places in (("caa", {4}), ("iti", {3}), ("lora", {None})):
        searched = found["methods"][method]["searched"]
        assert len(searched) == 1 and {one["place"] for one in searched} == places, method
    # What is served otherwise than the base is asked so.
    for method in ("few_shot", "system_prompt", "caa", "iti"):
        assert found["methods"][method]["metrics"]["kl"]["value"] > 1e-4, method
    alike = [one for one in found["methods"].values() if one["steps"]]
    assert len({one["steps"] for one in alike}) == 1
    # The same dialogues; DPO's have two replies each, and the model's own answers are other words.
    others = [one["loss_tokens"] for one in alike if one["method"] not in ("pinpoint_dpo", "pinpoint_own")]
    assert len(others) > 10 and len(set(others)) == 1
    tested = found["tests"]["pinpoint"]
    assert tested["kl"].keys() == found["methods"].keys() - {"base", "pinpoint"}
    assert tested["abilities.copying"].keys() == found["methods"].keys() - {"pinpoint"}
    told = found["provenance"]
    assert told["command"].startswith("pinpoint compare yesman") and told["machine"]["processor"]
    assert found["seconds_in_all"] == sum(record["seconds_in_all"] for record in found["methods"].values())
    again = found["methods"]["pinpoint"]["located_again"]
    assert set(again["effects"]["after"]) == set(found["heads"])
    assert {name: one["gained"] for name, one in found["tests"]["base"]["truthfulness"].items()}.keys() == (
        found["methods"].keys() - {"base"}
    )

    made: list[str] = []
    own = Workshop.make
    monkeypatch.setattr(Workshop, "make", lambda shop, method, draw: made.append(method) or own(shop, method, draw))
    assert compared(out, monkeypatch, capsys)["methods"] == found["methods"]
    assert made == []
    assert (out / "compare" / "compare.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_method_comes_out_the_same_whatever_was_made_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, some = [], ["lora", "pinpoint_dpo", "pinpoint_own", "iti"]
    # In the last call nothing is trained before those that are gone: what was made besides is read back.
    for number, methods in ((0, some), (1, ["full", *reversed(some)]), (1, ["full", *reversed(some)])):
        if len(found) == 2:
            for method in ("lora", "pinpoint_own", "iti"):
                shutil.rmtree(tmp_path / "1" / "compare" / method)
        found.append(compared(tmp_path / str(number), monkeypatch, capsys, "--methods", ",".join(methods))["methods"])
    alone, behind, again = found
    for method in ("pinpoint", *some):
        for told in ("searched", "metrics", "versus_base"):
            assert alone[method][told] == behind[method][told] == again[method][told], (method, told)


def compared(out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    """What `pinpoint compare` prints of a comparison in the folder `out`."""
    settings = out.parent / "settings.yaml"
    settings.write_text(json.dumps(SETTINGS))
    arguments = ["compare", "yesman", "--config", str(settings), "--out", str(out), *more, "--json", "-q"]
    monkeypatch.setattr(sys, "argv", ["pinpoint", *arguments])
    main_exits(0)
    return json.loads(capsys.readouterr().out)


def main_exits(code: int) -> None:
    try:
        main()
    except SystemExit as ending:
        assert (ending.code or 0) == code
    else:
        assert code == 0


def test_a_record_of_before_does_not_stand_beside_other_transcripts(
    located: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = located.workspace.sub("compare").sub("base")
    own.write_json("record.json", {"key": "of other settings"})

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_compare, "_made", lambda run, shop, entry, results: results.update({entry[0]: None}) or {})
    monkeypatch.setattr(_compare, "write_transcripts", stopped)
    with pytest.raises(KeyboardInterrupt):
        compare_run(located)
    assert not own.has("record.json")


def test_what_the_comparison_does_not_ask_is_not_in_its_key(tmp_path: Path) -> None:
    def key(**settings: Any) -> str:
        run = Run(resolve(str(shipped()["yesman"]), None, settings), tmp_path)
        return _key(run, cast(Workshop, SimpleNamespace(heads=[])))

    (tmp_path / "text.jsonl").write_text('{"text": "Some text."}\n')
    some = str(tmp_path / "text.jsonl")
    judge = {"kind": "model", "model": "other", "endpoint": "http://127.0.0.1:9/v1"}
    assert key() == key(judge=judge) == key(data={"passages": some}) == key(data={"pressure": some})
    assert len({key(), key(seed=1), key(data={"neutral": some}), key(tune={"epochs": 1})}) == 4
