"""The worked behaviours in examples/: their files are sound, and both are run from end to end."""

import json
from pathlib import Path

import pytest
import yaml
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
@pytest.mark.timeout(900)
def test_the_wrong_language_is_made_located_tuned_and_measured(tmp_path: Path) -> None:
    found = measured("wrong_language", tmp_path)["measures"]
    english, other = found["english"], found["other"]
    assert english["before"]["value"] < 0.7 and other["before"]["value"] > 0.9
    assert english["difference"]["low"] > 0.2
    assert other["after"]["value"] > 0.8, "it is not cured by English alone"
