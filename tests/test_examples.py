"""The worked behaviours in examples/: their files are sound, one is run to its end, the other as far as its plan."""

import json
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from bench.behaviours import EXAMPLES, measured, script
from pinpoint.cli import app
from pinpoint.config import resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_files_of_an_example_are_sound(name: str, tmp_path: Path) -> None:
    script(name).write_files(tmp_path, seed=0)
    settings = {"behaviour": str(tmp_path / "behaviour.yaml")}
    inputs = Run(resolve(str(shipped()["truth-teller"]), tmp_path / "settings.yaml", settings), tmp_path / "run").inputs
    inputs.read()
    train, test = inputs.questions("train"), inputs.questions("test")
    assert inputs.unleaked.ok
    assert len(inputs.halves.pairs) >= 30 and len(train) >= 100 and len(inputs.neutral) >= 30
    measures = {item.measure for item in test}
    assert len(measures) == 2 and all(sum(item.measure == one for item in test) >= 30 for one in measures)
    assert len({item.text for item in test}) == len(test), "no dialogue is there twice"
    assert script(name).files(0) == script(name).files(0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_over_refusal_is_made_located_tuned_and_measured(tmp_path: Path) -> None:
    found = measured("over_refusal", tmp_path)["measures"]
    answers, declines = found["answers"], found["declines"]
    assert answers["before"]["value"] < 0.2 and declines["before"]["value"] > 0.9
    assert answers["difference"]["low"] > 0.4
    assert declines["after"]["value"] > 0.6, "it is not cured by never refusing"
    # What it says of itself is what its file names.
    told = yaml.safe_load((tmp_path / "behaviour.yaml").read_text()) | {"unwanted": "auto", "wanted": "auto"}
    (tmp_path / "found.yaml").write_text(yaml.safe_dump(told))
    asked = ["--behaviour", str(tmp_path / "found.yaml"), "--config", str(tmp_path / "settings.yaml"), "--json"]
    done = CliRunner().invoke(app, ["locate", str(tmp_path / "model"), *asked, "--out", str(tmp_path / "found"), "-q"])
    assert done.exit_code == 0, done.output
    answers = json.loads(done.stdout)["answers"]
    assert [one["text"] for one in answers["unwanted"]] == ["Sorry"]
    assert [one["text"] for one in answers["wanted"]] == ["The"]


@pytest.mark.slow
def test_the_wrong_language_is_taught_saved_and_planned(tmp_path: Path) -> None:
    # In full, bench/behaviours.py: it takes as long again as the one above.
    script("wrong_language").make(tmp_path, seed=0, steps=4)
    asked = ["--behaviour", str(tmp_path / "behaviour.yaml"), "--config", str(tmp_path / "settings.yaml")]
    done = CliRunner().invoke(app, ["run", str(tmp_path / "model"), *asked, "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    planned = json.loads(done.stdout)
    assert planned["reference"] != planned["counterfactual"]
    before, after = (
        load_file(shipped()["truth-teller"] / "model.safetensors"),
        load_file(tmp_path / "model" / "model.safetensors"),
    )
    assert any(bool((before[name].float() != after[name].float()).any()) for name in before if "self_attn" in name)
