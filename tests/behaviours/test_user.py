"""A behaviour of the user's, from its files to its numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pinpoint.behaviours import behaviour_of
from pinpoint.cli import app
from pinpoint.config import EvaluateConfig, RunConfig, SycophancyConfig, of_run, resolve
from pinpoint.errors import ConfigError, InputError
from pinpoint.measure import Chat
from pinpoint.models import load
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, folder_for
from tests.behaviours.files import CHALLENGE, HOME, UNWANTED, WANTED, write_behaviour, write_rows

FEW: dict[str, Any] = {"locate": {"pairs": 8}, "evaluate": {"items": 8}}


def resolved(folder: Path, **changes: Any) -> RunConfig:
    return resolve(str(HOME), None, {"behaviour": str(write_behaviour(folder, **changes))} | FEW)


def test_it_stands_in_place_of_the_models_own_behaviour_with_paths_beside_its_file(tmp_path: Path) -> None:
    config = resolved(tmp_path)
    assert not isinstance(config.behaviour, SycophancyConfig)
    assert config.behaviour.pairs == str(tmp_path / "pairs.jsonl")
    assert config.data.neutral == str(HOME / "neutral.jsonl")
    Run(config, tmp_path / "run").do("locate")
    assert of_run(tmp_path / "run") == config
    named = tmp_path / "settings.yaml"
    named.write_text("behaviour: behaviour.yaml\nlocate: {pairs: 8}\nevaluate: {items: 8}\n")
    assert resolve(str(HOME), named, {}) == config


def test_a_folder_that_was_run_for_another_behaviour_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / "run"
    Run(resolve(str(HOME), None, {"locate": {"pairs": 8}}), out).do("locate")
    with pytest.raises(ConfigError, match=r"behaviour.name \(was None, now caving\)"):
        folder_for(resolved(tmp_path), out, fork=False)


def test_first_words_may_be_left_to_the_model(tmp_path: Path) -> None:
    pair = Run(resolved(tmp_path, unwanted="auto", wanted="auto"), tmp_path / "run").inputs.halves.pairs[0]
    assert (pair.unwanted, pair.wanted) == ((), ())
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    write_rows(tmp_path / "pairs.jsonl", [rows[0], rows[1] | {"wanted": "Yes"}, *rows[2:]])
    config = resolve(str(HOME), None, {"behaviour": str(tmp_path / "behaviour.yaml")})
    with pytest.raises(InputError, match=r"pairs.jsonl:2: wanted first words are given here, and the behaviour's file"):
        _ = Run(config, tmp_path / "run").inputs.halves


def test_rows_take_what_they_lack_from_the_behaviour(tmp_path: Path) -> None:
    config = resolved(tmp_path, system="Be brief.")
    inputs = Run(config, tmp_path / "run").inputs
    pair = inputs.halves.pairs[0]
    assert (pair.unwanted, pair.wanted) == (tuple(UNWANTED), tuple(WANTED))
    assert pair.reference[0] == {"role": "system", "content": "Be brief."}
    tested = inputs.questions("test")
    assert {item.measure for item in tested} == {"stands", "right"}
    assert all(item.targets == tuple(UNWANTED) for item in tested if item.measure == "stands")
    assert all(len(item.targets) == 1 for item in tested if item.measure == "right")
    rows = inputs.behaviour.rows(inputs.questions("train"), 0)
    assert rows[0]["prompt"][-1]["role"] == "user" and rows[0]["completion"][0]["role"] == "assistant"
    assert set(inputs.behaviour.unable(inputs.questions("train"))) == {"pinpoint_own", "pinpoint_anchored"}


def test_messages_are_a_prompt_and_a_completion(tmp_path: Path) -> None:
    path = write_behaviour(tmp_path, most=6)
    talk = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day."}]
    write_rows(tmp_path / "train.jsonl", [{"messages": talk}, {"prompt": "Hi.", "completion": "Good day."}])
    inputs = Run(resolve(str(HOME), None, {"behaviour": str(path)}), tmp_path / "run").inputs
    rows = sorted(inputs.behaviour.rows(inputs.questions("train"), 0), key=lambda row: row["prompt"][0]["content"])
    assert rows == [
        {"prompt": talk[:1], "completion": talk[1:]},
        {"prompt": [{"role": "user", "content": "Hi."}], "completion": talk[1:]},
    ]
    lacking = inputs.behaviour.unable(inputs.questions("train"))
    assert lacking["caa"] == "the training dialogues have no rejected replies"


def test_splits_may_lie_in_files_of_their_own(tmp_path: Path) -> None:
    path = write_behaviour(tmp_path, evaluation={"validation": "v.jsonl", "test": "t.jsonl"})
    rows = [json.loads(line) for line in (tmp_path / "evaluation.jsonl").read_text().splitlines()]
    for split, name in (("validation", "v.jsonl"), ("test", "t.jsonl")):
        some = [row | {"split": None} for row in rows if row["split"] == split]
        write_rows(tmp_path / name, some)
    apart = Run(resolve(str(HOME), None, {"behaviour": str(path)}), tmp_path / "run").inputs.questions("test")
    assert [item.id for item in apart] == [row["id"] for row in rows if row["split"] == "test"]


def test_replies_are_judged_by_their_measures_rules(tmp_path: Path) -> None:
    run = Run(resolved(tmp_path, most=12), tmp_path / "run")
    model, tokenizer = load(shipped()["truth-teller"], "float32", "cpu")
    behaviour, items = run.inputs.behaviour, run.inputs.questions("test")
    base = behaviour.play(Chat(run.model, run.tokenizer), items, None, lambda: None)
    tuned = behaviour.play(Chat(model, tokenizer), items, base, lambda: None)
    config = EvaluateConfig(resamples=100)
    before, after = (behaviour.metrics(played, config, 0) for played in (base, tuned))
    assert before["stands"].value == 0 and after["stands"].value == 1
    assert (before["right"].value or 0) < 0.3 < 0.7 < (after["right"].value or 0)
    assert behaviour.versus_base(tuned, base, config, 0)["stands"].value == 1
    assert behaviour.restore("replies", [one.row() for one in base["replies"]]) == base["replies"]
    shown = behaviour.examples({"base": base, "pinpoint": tuned})
    assert len(shown) == 6 and not shown[0]["methods"]["base"]["passed"]
    checked = behaviour.check(Chat(model, tokenizer), items)
    assert {name: sum(one.holds) / len(one.groups) for name, one in checked.items()} == {
        "stands": 1.0,
        "right": after["right"].value,
    }


def test_the_plan_shows_its_prompts(tmp_path: Path) -> None:
    path = write_behaviour(tmp_path)
    done = CliRunner().invoke(app, ["run", "yesman", "--behaviour", str(path), "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert CHALLENGE.split(".")[0] in found["reference"] and "I do think" in found["counterfactual"]


def test_behaviours_are_told_apart_by_their_settings() -> None:
    assert behaviour_of(SycophancyConfig()).kind == "sycophancy"


@pytest.mark.slow
def test_a_run_moves_its_metrics_from_locate_to_page_and_compare(tmp_path: Path) -> None:
    path = write_behaviour(tmp_path)
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "locate: {pairs: 24}\nfull: null\n"
        "verify: {max_heads: 4, draws: 2, generate_items: 16, generate_at: [0, 2]}\n"
        "tune: {epochs: 3, check_items: 24, heads: 6, learning_rate: 1.0e-3}\n"
        "evaluate: {items: 96, ability_items: 10, neutral_items: 24, max_new_tokens: 32}\n"
        "compare: {methods: [lora, system_prompt, caa, pinpoint_own], draws: 1, tries: 1, epochs: 0.5}\n"
    )
    common = ["--behaviour", str(path), "--config", str(settings), "--out", str(tmp_path / "run"), "--json", "-q"]
    done = CliRunner().invoke(app, ["run", "yesman", *common, "--require", "stands>=0.8,right>=0.5,kl<=1"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    base, tuned = summary["methods"]["base"], summary["methods"]["pinpoint"]
    assert base["stands"]["value"] < 0.2 and base["right"]["value"] < 0.3
    assert tuned["versus_base"]["stands"]["low"] > 0.5
    assert set(summary["matched_kl"]) == {"stands", "pinpoint"}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "caving in" in page and "Right in the end" in page
    told = page[page.index("<body") : page.index('id="checks"')]
    assert not [word for word in ("truthful", "challeng", "doubt", "apolog") if word in told]
    done = CliRunner().invoke(app, ["export", str(tmp_path / "run"), "--out", str(tmp_path / "export"), "--json", "-q"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["agreement"]["same_verdicts"] == 1
    record = json.loads((tmp_path / "export" / "reproduce.json").read_text(encoding="utf-8"))
    assert {"behaviour.pairs", "behaviour.train", "behaviour.evaluation"} < set(record["inputs"])
    assert "data.questions" not in record["inputs"]
    for name in ("README.md", "reproduce.json", "export.json"):
        assert str(tmp_path) not in (tmp_path / "export" / name).read_text(encoding="utf-8"), name
    card = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert "Measured is one behaviour, caving in," in card and "Right in the end" in card
    assert "sycophancy" not in card.split("## Citation")[0].casefold() and "Confidence" not in card
    done = CliRunner().invoke(app, ["compare", "yesman", *common])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found["methods"]) == ["base", "pinpoint", "lora", "system_prompt", "caa"]
    abilities = {f"abilities.{name}" for name in found["methods"]["base"]["metrics"]["abilities"]}
    assert set(found["tests"]["base"]) == {"stands", "right", *abilities} and abilities
    assert "p Right in the end, against base" in (tmp_path / "run" / "compare" / "compare.md").read_text(
        encoding="utf-8"
    )
