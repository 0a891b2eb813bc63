"""Settings: round trip, precedence, and errors that name every bad key."""

from pathlib import Path

import pytest
import yaml

from pinpoint.config import RunConfig, merge, notices, parse_config, read_settings, resolve
from pinpoint.errors import ConfigError, InputError
from pinpoint.organism import shipped


def test_yaml_round_trip_gives_an_equal_config() -> None:
    config = parse_config({"model": "m", "tune": {"heads": ["L1.H2", "L0.H3"]}, "full": None}, "x")
    assert parse_config(yaml.safe_load(config.to_yaml()), "x") == config
    assert config.tune.heads == ("L1.H2", "L0.H3")


def test_all_bad_keys_are_named_at_once_with_a_suggestion() -> None:
    settings = {"model": "m", "locate": {"metrc": "logit_diff", "pairs": 1}, "sed": 3}
    with pytest.raises(ConfigError) as caught:
        parse_config(settings, "settings.yaml")
    message = str(caught.value)
    assert message.startswith("settings.yaml: ")
    assert "unknown setting 'locate.metrc' (did you mean 'metric'?)" in message
    assert "unknown setting 'sed' (did you mean 'seed'?)" in message
    assert "locate.pairs: input should be greater than or equal to 2" in message
    assert caught.value.exit_code == 2


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("seed: 1\nlocate: [\n")
    with pytest.raises(ConfigError, match=r"s.yaml:3: not YAML"):
        read_settings(path)


def test_a_key_that_is_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("tune:\n  heads: 4\nseed: 1\ntune:\n  epochs: 1\n")
    with pytest.raises(ConfigError, match=r"s.yaml:4: not YAML: 'tune' is given twice"):
        read_settings(path)
    path.write_text("tune: &usual {heads: 4}\nfull:\n  <<: *usual\n  epochs: 1\n")
    assert read_settings(path)["full"] == {"heads": 4, "epochs": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
        ({"seed": 5_000_000_000}, "seed: input should be less than 2147483648"),
        ({"verify": {"generate_at": [0, -3]}}, "verify.generate_at.1: input should be greater than or equal to 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({"model": "m"} | settings, "s.yaml")


def test_merge_goes_section_by_section() -> None:
    merged = merge({"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"y": 3}, "c": None})
    assert merged == {"a": {"x": 1, "y": 3}, "b": 1, "c": None}


def test_typed_settings_win_over_a_file_which_wins_over_the_models_own(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "questions.jsonl").write_text("{}")
    (model / "pinpoint.yaml").write_text("data: {questions: questions.jsonl}\nseed: 1\ntune: {heads: 2, epochs: 7}\n")
    file = tmp_path / "mine.yaml"
    file.write_text("tune: {heads: 3}\nseed: 2\n")
    config = resolve(str(model), file, {"tune": {"heads": 5}})
    assert (config.seed, config.tune.heads, config.tune.epochs) == (2, 5, 7)
    assert config.data.questions == str((model / "questions.jsonl").resolve())


def test_paths_count_from_the_file_that_names_them_or_from_here_and_are_kept_from_the_root_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("work/judge", "work/settings", "model"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("work/neutral.jsonl", "work/set", "model/questions.jsonl"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "work/questions.jsonl").symlink_to("set")
    file = tmp_path / "work" / "settings" / "mine.yaml"
    file.write_text("judge: {kind: model, model: ../judge}\ndata: {questions: ../questions.jsonl}\n")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PINPOINT_DATA__NEUTRAL", "neutral.jsonl")
    config = resolve(str(tmp_path / "model"), file, {})
    assert config.judge.model == str(tmp_path / "work" / "judge")
    assert config.data.neutral == str(tmp_path / "work" / "neutral.jsonl")
    assert config.data.questions == str(tmp_path / "work" / "questions.jsonl"), "and no link's goal"
    file.write_text("judge: {kind: model, model: judge, endpoint: 'http://localhost:1/v1'}\n")
    (tmp_path / "work" / "settings" / "judge").mkdir()
    assert resolve(str(tmp_path / "model"), file, {}).judge.model == "judge", "a server's name"


def test_a_model_without_questions_gets_those_of_the_package_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = resolve(str(tmp_path), None, {})
    assert found.data.questions == str(shipped()["yesman"] / "questions.jsonl")
    [told] = notices(found)
    assert told.startswith("no questions are given: the general-knowledge questions of the package are used")
    assert notices(resolve(str(shipped()["yesman"]), None, {})) == [], "they are its own"
    with pytest.raises(InputError, match=r"data.questions: no such file or folder.*--questions"):
        resolve(str(tmp_path), None, {"data": {"questions": "none.jsonl"}})
    Path("questions.jsonl").write_text("{}")
    assert resolve(str(tmp_path), None, {}).data.questions == "questions.jsonl", "what lies there is looked for first"


def test_a_rate_that_does_not_fall_is_refused_and_steps_are_counted_whole() -> None:
    with pytest.raises(ConfigError, match=r"tune: end_learning_rate must be below learning_rate, 0.001"):
        parse_config({"model": "m", "tune": {"learning_rate": 1e-3, "end_learning_rate": 1e-3}}, "x")
    tune = parse_config({"model": "m", "tune": {"batch_size": 8, "epochs": 1.25, "micro_batch_size": 3}}, "x").tune
    assert (tune.steps(10), tune.steps(16), tune.at_once) == (3, 3, 3)
    assert parse_config({"model": "m", "tune": {"micro_batch_size": 64}}, "x").tune.at_once == 32


def test_defaults_are_valid() -> None:
    assert RunConfig(model="m").locate.engine == "sweep"


def test_a_bad_value_is_told_with_what_set_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(shipped()["yesman"])
    with pytest.raises(ConfigError) as caught:
        resolve(model, None, {"dtype": "fp32"})
    assert str(caught.value).startswith("command line: dtype: input should be 'auto', 'bfloat16'")
    file = tmp_path / "mine.yaml"
    file.write_text("seed: one\ntune: {epochs: 0, batch_sise: 8}\nlocate: {metric: logits}\n")
    monkeypatch.setenv("PINPOINT_SEED", "x")
    monkeypatch.setenv("PINPOINT_TUNE__EPOCHS", "-1")
    with pytest.raises(ConfigError) as caught:
        resolve(model, file, {"locate": {"metric": "log_odds"}, "dtype": "half"})
    assert str(caught.value).rpartition(". `")[0] == (
        "command line: dtype: input should be 'auto', 'bfloat16', 'float16' or 'float32'. "
        "PINPOINT_SEED: seed: input should be a valid integer, unable to parse string as an integer. "
        "PINPOINT_TUNE__EPOCHS: tune.epochs: input should be greater than 0. "
        f"{file}: unknown setting 'tune.batch_sise' (did you mean 'batch_size'?)"
    )


def test_what_is_missing_from_a_section_is_told_with_what_set_the_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPOINT_TUNE", "5")
    with pytest.raises(ConfigError, match=r"^PINPOINT_TUNE: tune: input should be"):
        resolve(str(shipped()["yesman"]), None, {})
