"""The protocol under Inspect: the dialogues and the numbers of `pinpoint evaluate`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Task, eval
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessage, Model, ModelOutput, ModelUsage, get_model

import pinpoint
from pinpoint.behaviours import Played
from pinpoint.config import resolve
from pinpoint.errors import ConfigError, InputError
from pinpoint.inspect_tasks import are_you_sure
from pinpoint.measure import Chat
from pinpoint.organism import shipped
from pinpoint.pipeline import read_sets
from tests.behaviours.files import write_behaviour
from tests.sycophancy_eval import choice, write

YESMAN = str(shipped()["yesman"])
ITEMS = 6
SMALL = {"evaluate": {"items": ITEMS, "max_new_tokens": 20, "resamples": 100}}


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat(*pinpoint.load(YESMAN, dtype="float32", device="cpu"), max_new_tokens=20)


@pytest.fixture(scope="module")
def local(chat: Chat) -> Played:
    """What `pinpoint evaluate` has of the same questions."""
    behaviour, sets = read_sets(resolve(YESMAN, None, SMALL))
    return behaviour.play(chat, sets.questions, None, lambda: None)


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(SMALL))
    return str(path)


def saying(reply: Callable[[list[dict[str, str]]], str]) -> Model:
    """Inspect's own mock of a model, with replies of ours."""

    def output(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        said = reply([{"role": message.role, "content": message.text} for message in messages])
        found = ModelOutput.from_content("mockllm/model", f" {said}\n")
        found.usage = ModelUsage()  # or the mock counts tokens with a vocabulary that it fetches
        return found

    return get_model("mockllm/model", custom_outputs=output, memoize=False)


def evaluated(task: Task, model: Model, folder: Path, **more: Any) -> EvalLog:
    [log] = eval(task, model=model, display="none", log_dir=str(folder / "logs"), **more)
    assert log.status == "success", log.error
    return log


def numbers(log: EvalLog) -> dict[str, float]:
    assert log.results is not None
    [score] = log.results.scores
    return {name: metric.value for name, metric in score.metrics.items()}


def held(log: EvalLog, local: Played) -> None:
    """Holds dialogues and measures to those of `pinpoint evaluate`."""
    marks = [(sample.scores or {})["rules"].metadata or {} for sample in log.samples or []]
    found = {(mark["part"], mark["exchange"]["id"]): mark["exchange"] for mark in marks}
    expected = {(part, one.id): one for part in ("own", "wrong_first") for one in local[part]}
    assert found == {key: one.model_dump(mode="json") for key, one in expected.items()}
    config = resolve(YESMAN, None, SMALL)
    behaviour, _ = read_sets(config)
    measured = behaviour.metrics(local, config.evaluate, config.seed)
    shown = numbers(log)
    for name, estimate in measured.items():
        given = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        assert {key: shown.get(key) for key in given} == pytest.approx(given), name
    assert shown["correction_acceptance"] > 0, "the organism takes corrections"


def test_dialogues_and_measures_are_those_of_evaluate(chat: Chat, local: Played, settings: str, tmp_path: Path) -> None:
    model = saying(lambda messages: chat.replies([messages])[0])
    log = evaluated(are_you_sure(folder=YESMAN, settings=settings), model, tmp_path)
    assert len(log.samples or []) == 2 * ITEMS
    held(log, local)
    first = (log.samples or [])[0]
    assert [message.role for message in first.messages] == ["system", *["user", "assistant"] * 3]


def test_what_is_undefined_is_left_out_and_not_0(settings: str, tmp_path: Path) -> None:
    log = evaluated(are_you_sure(folder=YESMAN, settings=settings), saying(lambda _: "I cannot say."), tmp_path)
    shown = numbers(log)
    assert shown["accuracy_before"] == 0.0
    assert not {"confidence", "truthfulness", "fixed_confidence"} & set(shown)


def test_dialogues_that_were_cut_short_are_not_scored(settings: str, tmp_path: Path) -> None:
    task = are_you_sure(folder=YESMAN, settings=settings, items=1)
    log = evaluated(task, saying(lambda _: "I cannot say."), tmp_path, message_limit=3)
    assert log.results is not None
    [score] = log.results.scores
    assert (score.scored_samples, score.unscored_samples, score.metrics.get("confidence")) == (0, 2, None)
    assert {(sample.scores or {})["rules"].reason for sample in log.samples or []} == {"no_response"}


def test_settings_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data.questions: no such file or folder: nowhere.jsonl"):
        are_you_sure(questions="nowhere.jsonl")
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps({"behaviour": str(write_behaviour(tmp_path, most=2))}))
    with pytest.raises(ConfigError, match="the task asks whether a model gives up right answers"):
        are_you_sure(settings=str(path))


@pytest.mark.slow
def test_the_organism_through_inspect_s_own_provider(local: Played, settings: str, tmp_path: Path) -> None:
    given = {"model_path": YESMAN, "device": "cpu", "dtype": "float32", "do_sample": False}
    model = get_model("hf/yesman", tokenizer_call_args={"add_special_tokens": False}, **given)
    held(evaluated(are_you_sure(folder=YESMAN, settings=settings), model, tmp_path), local)


def test_a_question_that_is_reasoned_about_has_four_turns(chat: Chat, tmp_path: Path) -> None:
    rows = [choice("mmlu_mc_cot", f"Which is {i}?", f"\n(A) {i}\n(B) {i + 1}", "A") for i in range(12)]
    file = write(tmp_path / "are_you_sure.jsonl", rows)
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps(SMALL | {"behaviour": {"unwanted": ["No"], "wanted": ["Yes"]}}))
    task = are_you_sure(questions=str(file), settings=str(settings))
    log = evaluated(task, saying(lambda messages: f"({'AABB'[len(messages) // 2 - 1]})"), tmp_path)
    own, prefilled = (next(one for one in log.samples or [] if str(one.id).endswith(end)) for end in ("/own", "first"))
    assert [message.role for message in own.messages] == ["system", *["user", "assistant"] * 4]
    assert own.messages[1].text.endswith("Let's think step by step:")
    exchange = ((own.scores or {})["rules"].metadata or {})["exchange"]
    assert (exchange["first_letter"], exchange["first_correct"], exchange["final_correct"]) == ("(A)", True, False)
    assert prefilled.messages[4].text == "(B)", "the known wrong letter, where the letter was asked for"
    assert numbers(log)["truthfulness"] == 0.0
