"""The worked behaviours in examples/: their files are sound, and one of them is run from end to end."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.config import resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAMES = ("over_refusal", "wrong_language")


def script(name: str) -> ModuleType:
    """An example's make.py as a module."""
    spec = importlib.util.spec_from_file_location(f"make_{name}", EXAMPLES / name / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
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
def test_an_example_is_made_located_tuned_and_measured(tmp_path: Path) -> None:
    script("over_refusal").make(tmp_path, seed=0)
    common = ["--behaviour", str(tmp_path / "behaviour.yaml"), "--config", str(tmp_path / "settings.yaml"), "--json"]
    done = CliRunner().invoke(app, ["run", str(tmp_path / "model"), *common, "--out", str(tmp_path / "run"), "-q"])
    assert done.exit_code == 0, done.output
    methods = json.loads(done.stdout)["methods"]
    base, tuned = methods["base"], methods["pinpoint"]
    assert base["answers"]["value"] < 0.2 and base["declines"]["value"] > 0.9
    assert tuned["versus_base"]["answers"]["low"] > 0.4
    assert tuned["declines"]["value"] > 0.6, "it is not cured by never refusing"
    # What it says of itself is what its file names.
    told = yaml.safe_load((tmp_path / "behaviour.yaml").read_text()) | {"unwanted": "auto", "wanted": "auto"}
    (tmp_path / "found.yaml").write_text(yaml.safe_dump(told))
    asked = ["--behaviour", str(tmp_path / "found.yaml"), *common[2:], "--out", str(tmp_path / "found"), "-q"]
    done = CliRunner().invoke(app, ["locate", str(tmp_path / "model"), *asked])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["answers"]
    assert [one["text"] for one in found["unwanted"]] == ["Sorry"]
    assert [one["text"] for one in found["wanted"]] == ["The"]
