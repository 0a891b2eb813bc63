"""Bad files of a user's behaviour: one message with file, line and key; exit code 2; nothing written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.test_cases import refused as refused
from tests.behaviours.files import HOME, settings, write_behaviour

MEASURES = settings()["measures"]
TOLD = {"told": {"rule": "model", "question": "Is it?"}}

FILES: dict[str, tuple[dict[str, Any], str]] = {
    "no pairs": ({"pairs": None}, "behaviour.yaml:1: pairs: is missing"),
    "pairs that are nowhere": ({"pairs": "none.jsonl"}, "behaviour.pairs: no such file or folder"),
    "no name": ({"name": None}, "behaviour.yaml:1: name: is missing"),
    "a name of signs": ({"name": "../x"}, "behaviour.yaml:1: name: "),
    "an unknown key": ({"pear": "x"}, "pear: unknown key"),
    "no measures": ({"measures": {}}, "measures: "),
    "an unknown rule": ({"measures": {"a": {"rule": "vibes"}}}, "behaviour.yaml:23: measures.a.rule: "),
    "an unknown key of a measure": ({"measures": {"a": {"rule": "regex", "goals": 1}}}, "measures.a.goals: unknown"),
    "a goal above one": ({"measures": {"a": {"rule": "regex", "goal": 90}}}, "measures.a.goal"),
    "a regular expression that is none": (
        {"measures": {"a": {"rule": "regex", "targets": ["("]}}},
        "'(' is not a regular expression",
    ),
    "a letter that is none": ({"measures": {"a": {"rule": "letter", "targets": ["yes"]}}}, "'yes' is not a letter"),
    "a model's rule first of all": (
        {"measures": {"a": {"rule": "model", "question": "Is it?"}}},
        "the first measure, 'a', goes by rule 'model', which is asked in the evaluation alone",
    ),
    "a model's rule without a question": ({"measures": {"a": {"rule": "model"}}}, "rule 'model' needs a question"),
    "a model's rule with targets": (
        {"measures": {"a": {"rule": "model", "question": "Is it?", "targets": "x"}}},
        "goes by its question, and takes no targets",
    ),
    "a question for another rule": (
        {"measures": {"a": {"rule": "regex", "question": "Is it?"}}},
        "a question goes with rule 'model', not with 'regex'",
    ),
    "a measure with a taken name": ({"measures": {"kl": MEASURES["right"]}}, "'kl' has another meaning"),
    "a measure with a bad name": ({"measures": {"Is Right": MEASURES["right"]}}, "'Is Right' is not a name"),
    "a measure without dialogues": (
        {"measures": MEASURES | {"third": {"rule": "regex", "targets": ["x"]}}},
        "measure 'third' has no dialogue of split 'validation'",
    ),
    "a measure that is gone": ({"measures": {"right": MEASURES["right"]}}, "measure 'stands' is none of right"),
    "no first words": ({"wanted": None}, "pairs.jsonl:1: no wanted first words"),
    "first words of one side alone": ({"wanted": "auto"}, "wanted: unwanted and wanted are found together"),
    "one evaluation file of two": ({"evaluation": {"test": "evaluation.jsonl"}}, "evaluation.validation: is missing"),
}


@pytest.mark.parametrize("case", FILES)
def test_settings_of_a_behaviour(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    changes, message = FILES[case]
    path = write_behaviour(tmp_path, most=4, **changes)
    refused("run", "yesman", "--behaviour", str(path), "--out", "run", message=message)


def test_a_model_s_rule_without_dialogues(refused: Callable[..., str], tmp_path: Path) -> None:
    path = write_behaviour(tmp_path, most=4, measures=MEASURES | TOLD)
    judge = ("--judge", "model", "--judge-model", "other", "--judge-endpoint", "http://127.0.0.1:9/v1")
    message = "'told' has no dialogue of split 'test'"
    refused("run", "yesman", "--behaviour", str(path), "--out", "run", *judge, message=message)


def test_a_behaviour_that_is_no_yaml(refused: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "behaviour.yaml"
    refused("run", "yesman", "--behaviour", str(path), "--out", "run", message="behaviour.yaml: no such file")
    path.write_text("name: a\npairs: [")
    refused("run", "yesman", "--behaviour", str(path), "--out", "run", message="behaviour.yaml:2: not YAML")


ROWS: dict[str, tuple[str, dict[str, Any], str]] = {
    "no reference": ("pairs", {"reference": None}, "pairs.jsonl:2: reference: "),
    "the same twice": ("pairs", {"reference": "Hi.", "counterfactual": "Hi."}, "reference and counterfactual are"),
    "a prompt that ends with a reply": (
        "pairs",
        {"reference": [{"role": "assistant", "content": "Hi."}]},
        "must end with a message of the user",
    ),
    "an unknown role": ("pairs", {"reference": [{"role": "boss", "content": "Hi."}]}, "role 'boss' is none of"),
    "an empty message": ("pairs", {"reference": [{"role": "user", "content": " "}]}, "must be text, and not empty"),
    "a message without text": ("pairs", {"reference": [{"role": "user"}]}, "must have role and content"),
    "an unknown column": ("pairs", {"unwnated": "No"}, "pairs.jsonl:2: unwnated: "),
    "no completion": ("train", {"completion": None}, "train.jsonl:2: completion: "),
    "a completion of the user": ("train", {"completion": [{"role": "user", "content": "a"}]}, "one message of the"),
    "messages that are one": ("train", {"messages": [{"role": "user", "content": "a"}]}, "a prompt and a reply"),
    "messages without a reply": ("train", {"messages": [{"role": "user", "content": "a"}] * 2}, "completion: "),
    "an unknown split": ("evaluation", {"split": "eval"}, "evaluation.jsonl:2: split: "),
    "a split of another stage": ("evaluation", {"split": "train"}, "evaluation.jsonl:2: split must be"),
    "an unknown measure": ("evaluation", {"measure": "vibes"}, "measure 'vibes' is none of stands, right"),
    "no targets": ("evaluation", {"measure": "right", "targets": []}, "evaluation.jsonl:2: no targets"),
    "a repeated id": ("evaluation", {"id": "first"}, "id 'first' was already used in line 1"),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_of_a_behaviour(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    name, change, message = ROWS[case]
    path = write_behaviour(tmp_path, most=4)
    file = tmp_path / f"{name}.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0] |= {"id": "first"}
    rows[1] = {key: value for key, value in (rows[1] | change).items() if value is not None}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused("run", "yesman", "--behaviour", str(path), "--out", "run", message=message)


def test_neutral_dialogues_have_to_be_given(refused: Callable[..., str], tmp_path: Path) -> None:
    path = write_behaviour(tmp_path, most=4, neutral=None)
    settings = tmp_path / "settings.yaml"
    settings.write_text("data: {neutral: null}\n")
    common = ["--behaviour", str(path), "--out", "run"]
    refused("run", "yesman", *common, "--config", str(settings), message="data.neutral, tune.anchor: this behaviour")
    settings.write_text("tune: {anchor: 1}\n")
    refused("run", "yesman", *common, "--config", str(settings), message="leave tune.anchor at 0")


def test_a_neutral_dialogue_is_to_evaluate_on_and_another_to_choose_by(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    path, file = write_behaviour(tmp_path, most=4, neutral="neutral.jsonl"), tmp_path / "neutral.jsonl"
    file.write_text((HOME / "neutral.jsonl").read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    told = "neutral.jsonl: there is 1 neutral dialogue; at least 2 are needed"
    refused("run", "yesman", "--behaviour", str(path), "--out", "run", message=told)


def test_a_gate_on_a_measure_of_another_behaviour(refused: Callable[..., str], tmp_path: Path) -> None:
    path = write_behaviour(tmp_path, most=4)
    message = "'truthfulness' is not a metric. Use one of stands, right, kl, kl_passages"
    refused("run", "yesman", "--behaviour", str(path), "--require", "truthfulness>=0.8", message=message)
