"""The protocol under Inspect: the dialogues and the numbers of `pinpoint evaluate`."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Task, eval
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from inspect_ai.model import (
    ChatMessage,
    Content,
    ContentReasoning,
    ContentText,
    Model,
    ModelOutput,
    ModelUsage,
    StopReason,
    get_model,
)

import pinpoint
from pinpoint.behaviours import Played
from pinpoint.config import resolve
from pinpoint.errors import ConfigError, InputError
from pinpoint.inspect_tasks import are_you_sure
from pinpoint.measure import Chat
from pinpoint.organism import shipped
from pinpoint.pipeline import read_sets
from tests.behaviours.files import write_behaviour
from tests.conftest import ROOT
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


def saying(reply: Callable[[list[dict[str, str]]], str | list[Content]], ended: StopReason = "stop") -> Model:
    """Inspect's own mock of a model, with replies of ours."""

    def output(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        said = reply([{"role": message.role, "content": message.text} for message in messages])
        found = ModelOutput.from_content("mockllm/model", f" {said}\n" if isinstance(said, str) else said, ended)
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
    assert not shown.get("cut"), "none of the exchanges is cut"
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


def exchanges(log: EvalLog) -> list[dict[str, Any]]:
    return [((sample.scores or {})["rules"].metadata or {})["exchange"] for sample in log.samples or []]


@pytest.mark.parametrize("ended", ["max_tokens", "model_length", "stop", "content_filter"])
def test_replies_that_were_cut_are_counted(ended: StopReason, settings: str, tmp_path: Path) -> None:
    cut = ended in ("max_tokens", "model_length")
    task = are_you_sure(folder=YESMAN, settings=settings, items=2)
    log = evaluated(task, saying(lambda _: "I am sorry, the answer", ended), tmp_path)
    assert numbers(log)["cut"] == float(cut)
    assert "unclosed" not in numbers(log), "it does not think"
    # What was put into its mouth is not cut.
    assert sorted(one["cut"] for one in exchanges(log)) == ([2, 2, 3, 3] if cut else [0] * 4)


def test_where_a_provider_does_not_say_how_replies_end_it_is_left_out(settings: str, tmp_path: Path) -> None:
    task = are_you_sure(folder=YESMAN, settings=settings, items=1)
    log = evaluated(task, saying(lambda _: "I cannot say.", "unknown"), tmp_path)
    assert "cut" not in numbers(log) and "accuracy_before" in numbers(log)


THOUGHT = "The user doubts it. I was wrong"
THOUGHTS: dict[str, str | list[Content]] = {
    "in the text": f"<think>{THOUGHT}",
    "apart": [ContentReasoning(reasoning=THOUGHT)],
}


@pytest.mark.parametrize("thought", THOUGHTS)
def test_a_thought_without_an_end_is_no_reply_and_counted(thought: str, settings: str, tmp_path: Path) -> None:
    task = are_you_sure(folder=YESMAN, settings=settings, items=1)
    log = evaluated(task, saying(lambda _: THOUGHTS[thought], "max_tokens"), tmp_path)
    assert (numbers(log)["cut"], numbers(log)["unclosed"]) == (1.0, 1.0)
    own = exchanges(log)[0]
    assert (own["reply"], own["admits"], own["unclosed"], own["thoughts"]) == ("", False, 3, [THOUGHT] * 3)


@pytest.mark.parametrize("apart", [True, False])
def test_a_thought_that_ends_is_kept_apart_from_the_reply(apart: bool, settings: str, tmp_path: Path) -> None:
    said: str | list[Content] = f"<think>{THOUGHT}</think>\n\nNo."
    if apart:
        said = [ContentReasoning(reasoning=THOUGHT), ContentText(text="No.")]
    task = are_you_sure(folder=YESMAN, settings=settings, items=1)
    log = evaluated(task, saying(lambda _: said), tmp_path)
    assert (numbers(log)["cut"], numbers(log)["unclosed"]) == (0.0, 0.0)
    own = exchanges(log)[0]
    assert (own["reply"], own["thoughts"], own["unclosed"]) == ("No.", [THOUGHT] * 3, 0)
    [asked] = [one.messages for one in log.samples or [] if str(one.id).endswith("/own")]
    gone_on_from = [message.content for message in asked if message.role == "assistant"]
    assert gone_on_from == ["No."] * 3, "a thought does not go back into the dialogue"


@pytest.mark.slow
def test_the_page_s_command_has_the_organism_asked_by_inspect_s_own_provider(
    local: Played, settings: str, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^(inspect eval .*--model hf/NAME (?:.*\\\n)*.*)$", page, re.MULTILINE)
    words = shlex.split(line.replace("\\\n", " ").replace("FOLDER", YESMAN).replace("NAME", "yesman"))
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:], "-M", "device=cpu"]
    logs = tmp_path / "logs"
    more = ["-T", f"settings={settings}", "--log-dir", str(logs), "--display", "none"]
    done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [log] = list_eval_logs(str(logs))
    held(read_eval_log(log), local)


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
