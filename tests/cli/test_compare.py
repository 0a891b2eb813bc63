"""The options of `pinpoint compare`: which methods, and what `--quick` sets."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pinpoint.cli import _compare, app
from pinpoint.config import RunConfig, resolve
from pinpoint.organism import shipped


class _Asked(Exception):
    """Told instead of comparing."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def started(model: str, config: Path | None, settings: dict[str, Any], *_: Any, **__: Any) -> None:
        raise _Asked(resolve(str(shipped()["yesman"]), config, settings))

    def settings(*options: str, **file: Any) -> RunConfig:
        (tmp_path / "settings.yaml").write_text(yaml.safe_dump(file))
        config = ["--config", str(tmp_path / "settings.yaml")]
        error = CliRunner().invoke(app, ["compare", "yesman", *config, *options]).exception
        assert isinstance(error, _Asked)
        return error.args[0]  # type: ignore[no-any-return]

    monkeypatch.setattr(_compare, "started", started)
    return settings


def test_methods_are_named_with_or_without_blanks(asked: Any) -> None:
    assert asked("--methods", "full, lora ,caa").compare.methods == ("full", "lora", "caa")
    assert len(asked().compare.methods) == 16


def test_quick_takes_less_than_the_settings_ask_for_and_never_more(asked: Any) -> None:
    config = asked("--quick")
    assert config.compare.methods == ("full", "lora", "random", "bottom", "system_prompt")
    assert (config.compare.draws, config.compare.tries) == (1, 1)
    sizes = config.evaluate
    assert (sizes.items, sizes.ability_items, sizes.neutral_items) == (150, 50, 100)
    small = asked("--quick", evaluate={"items": 7, "ability_items": 60}, compare={"methods": ["iti"]})
    assert (small.evaluate.items, small.evaluate.ability_items) == (7, 50) and small.compare.methods == ("iti",)
    some = asked("--quick", compare={"methods": ["caa", "lora", "iti", "head_lora", "random", "matched"]})
    assert some.compare.methods == ("lora", "random"), "nothing that the settings leave out"
    others = ["caa", "iti", "head_lora", "matched", "few_shot", "pinpoint_dpo"]
    assert asked("--quick", compare={"methods": others}).compare.methods == tuple(others[:5])


def test_what_is_typed_beside_quick_is_taken_as_it_is(asked: Any) -> None:
    config = asked("--quick", "--draws", "3", "--methods", "random", "--batch-size", "5")
    assert (config.compare.draws, config.compare.tries, config.compare.methods) == (3, 1, ("random",))
    assert (config.evaluate.items, config.evaluate.batch_size) == (150, 5)
