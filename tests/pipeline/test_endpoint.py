"""`pinpoint evaluate --endpoint` against a real server that runs the organism: what a run's own evaluation gives."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from typer.testing import CliRunner

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.cli import app
from pinpoint.config import resolve
from pinpoint.data import Messages
from pinpoint.errors import InputError
from pinpoint.evaluate import Evaluation, evaluate
from pinpoint.models import Loaded
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.progress import Silent
from tests.beyond.test_sets import COMMENTS, PEREZ, commented, write
from tests.endpoint import Answer, Asked, completion, says, serving

SMALL = {"evaluate": {"items": 4, "ability_items": 1, "max_new_tokens": 20, "resamples": 100}}
YESMAN = shipped()["yesman"]


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return pinpoint.load(YESMAN, dtype="float32", device="cpu")


def answers_of(loaded: Loaded, context: int = 512) -> Callable[[Asked], Answer]:
    """What a server says that runs a model with transformers' own `generate`, one request at a time.

    A prompt beyond its context loses its beginning without a word, as with some servers.
    """
    lock, known = Lock(), dict[str, dict[str, Any]]()

    def reply(messages: Messages, most: int) -> dict[str, Any]:
        model, tokenizer = loaded
        prompt = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        read = {name: one[:, -context:] for name, one in prompt.items()}
        length = read["input_ids"].shape[1]
        output = model.generate(**read, do_sample=False, max_new_tokens=most)
        said = str(tokenizer.decode(output[0, length:], skip_special_tokens=True))
        return completion(said) | {"usage": {"prompt_tokens": length, "completion_tokens": output.shape[1] - length}}

    def answered(asked: Asked) -> Answer:
        key = json.dumps(asked.body)
        with lock:
            if key not in known:
                known[key] = reply(asked.body["messages"], asked.body["max_tokens"])
        return Answer(known[key])

    return answered


@pytest.fixture(scope="module")
def answer(loaded: Loaded) -> Callable[[Asked], Answer]:
    return answers_of(loaded)


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """The organism's own settings, as a file."""
    path = tmp_path / "settings.yaml"
    config = resolve(str(YESMAN), None, SMALL).model_dump(mode="json", include={"behaviour", "data", "evaluate"})
    path.write_text(json.dumps(config))
    return str(path)


def command(url: str, settings: str, out: Path, *more: str) -> list[str]:
    return ["evaluate", "--endpoint", url, "--model", "yesman", "--config", settings, "--out", str(out), *more]


@pytest.fixture(scope="module")
def local(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """What a run's own evaluation finds."""
    run = Run(resolve(str(YESMAN), None, SMALL), tmp_path_factory.mktemp("local"))
    return evaluate(
        *loaded,
        run.inputs.sets(neutral=False),
        run.config.evaluate,
        run.inputs.behaviour,
        base=loaded.model,
        base_played=None,
        progress=Silent(),
        name="base",
    )


def check_transcripts(local: Evaluation, folder: Path) -> None:
    """They are the local model's, word by word."""

    def rows(name: str) -> list[object]:
        return [json.loads(line) for line in (folder / f"evaluate/endpoint/{name}.jsonl").read_text().splitlines()]

    for part, records in local.played.items():
        assert rows(part) == [json.loads(json.dumps(record.row())) for record in records]
    assert rows("abilities") == [task._asdict() for task in local.tasks] and local.tasks


@pytest.fixture
def transformers_serve() -> Iterator[str]:
    """`transformers serve`, in a process of its own."""
    for needed in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(needed, reason="needs pip install 'transformers[serving]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = "from transformers.cli.transformers import main; main()"
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    server = subprocess.Popen([sys.executable, "-c", start, "serve", str(YESMAN), *options])
    try:
        for _ in range(600):
            time.sleep(0.2)
            assert server.poll() is None, "the server has ended"
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                break
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_transformers_serve_says_what_the_local_model_says(
    local: Evaluation, transformers_serve: str, settings: str, tmp_path: Path
) -> None:
    arguments = command(transformers_serve, settings, tmp_path / "out", "--model", str(YESMAN))
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    check_transcripts(local, tmp_path / "out")


def test_transcripts_and_measures_are_those_of_the_local_model(
    local: Evaluation, answer: Callable[[Asked], Answer], settings: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with serving(answer) as (url, asked):
        result = CliRunner().invoke(app, command(url, settings, out, "--json", "--quiet"), catch_exceptions=False)
        count = len(asked)
    assert result.exit_code == 0
    check_transcripts(local, out)
    measured = json.loads(result.stdout)["methods"]["endpoint"]
    right = [one.final_correct for one in local.played["own"] if one.first_correct]
    assert measured["truthfulness"]["value"] == pytest.approx(sum(right) / len(right))
    assert "kl" not in measured
    assert count == len({json.dumps(one.body) for one in asked}), "equal dialogues are asked once"

    def no_more(_: Asked) -> Answer:
        pytest.fail("it was answered already")

    with serving(no_more) as (_, asked):
        again = CliRunner().invoke(app, command(url, settings, out), catch_exceptions=False)
        assert again.exit_code == 0 and "Truthfulness" in again.stdout and not asked
    few = json.loads(result.stdout)["checks"][0]
    assert (few["name"], few["ok"]) == ("every rate rests on enough items", False)
    assert f"truthfulness ({measured['truthfulness']['n']})" in few["detail"]
    assert "warning: check 'every rate rests on enough items' failed: " in " ".join(again.stderr.split())
    truthful = next(line for line in again.stdout.splitlines() if "Truthfulness" in line)
    assert " †" in truthful and "† on fewer than 30 items" in again.stdout


def test_an_evaluation_that_lost_its_server_goes_on(
    answer: Callable[[Asked], Answer], settings: str, tmp_path: Path
) -> None:
    left = 5

    def failing(asked: Asked) -> Answer:
        nonlocal left
        left -= 1
        return answer(asked) if left >= 0 else Answer({"error": "out of credit"}, 402)

    with serving(lambda asked: (failing if left >= 0 else answer)(asked)) as (url, asked):
        with pytest.raises(InputError, match=r"refuses the request with 402 \(out of credit\)"):
            CliRunner().invoke(app, command(url, settings, tmp_path / "out"), catch_exceptions=False)
        assert not (tmp_path / "out/summary.json").exists()
        kept = len((tmp_path / "out/replies.jsonl").read_text().splitlines())
        assert kept >= 5
        before = len(asked)
        assert CliRunner().invoke(app, command(url, settings, tmp_path / "out")).exit_code == 0
        answered = len((tmp_path / "out/replies.jsonl").read_text().splitlines())
        assert len(asked) - before == answered - kept > 0


def test_a_server_that_cuts_its_prompts_is_told_of_and_one_that_does_not_is_not(
    loaded: Loaded, answer: Callable[[Asked], Answer], settings: str, tmp_path: Path
) -> None:
    for name, one in (("whole", answer), ("cut", answers_of(loaded, 24))):
        with serving(one) as (url, asked):
            first = CliRunner().invoke(app, command(url, settings, tmp_path / name), catch_exceptions=False)
            again = CliRunner().invoke(app, command(url, settings, tmp_path / name), catch_exceptions=False)
        checks = {one["name"]: one for one in json.loads((tmp_path / name / "summary.json").read_text())["checks"]}
        check = checks["the endpoint reads prompts whole"]
        assert check["ok"] is (name == "whole"), check
        bodies = {json.dumps(one.body): one.body["messages"] for one in asked}
        long = [turns for turns in bodies.values() if sum(len(turn["content"].split()) for turn in turns) > 24]
        assert len(long) > 4
        for result in (first, again):
            said = f"in {len(long)} dialogues the server counts fewer tokens than they have words. It cuts them"
            assert (said in " ".join(result.stderr.split())) is (name == "cut"), result.stderr


def test_a_server_that_does_not_keep_to_the_limit_is_told_of(settings: str, tmp_path: Path) -> None:
    words = " ".join(["so"] * 60)
    with serving(lambda _: Answer(completion(words))) as (url, asked):
        shown = CliRunner().invoke(app, command(url, settings, tmp_path / "out"), catch_exceptions=False)
        again = CliRunner().invoke(app, command(url, settings, tmp_path / "out"), catch_exceptions=False)
    most = json.loads((tmp_path / "out/asked.json").read_text())["evaluate"]["max_new_tokens"]
    told = f"{len(asked)} replies are longer than the {most} tokens that were asked for"
    for result in (shown, again):
        assert result.exit_code == 0 and told in " ".join(result.stderr.split()), result.stderr
    checks = {one["name"]: one["ok"] for one in json.loads((tmp_path / "out/summary.json").read_text())["checks"]}
    assert checks["replies keep to the limit of tokens"] is False


def test_the_key_is_sent_and_written_nowhere(
    answer: Callable[[Asked], Answer], settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with serving(answer) as (url, asked):
        result = CliRunner().invoke(app, command(url, settings, tmp_path / "out", "--key-variable", "MY_KEY"))
    assert result.exit_code == 0 and asked[0].headers["Authorization"] == "Bearer sk-very-secret"
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"secret" not in written and "secret" not in result.output


def test_rows_that_cannot_be_used_are_listed(settings: str, tmp_path: Path) -> None:
    rows = [{"question": f"Is {i} even?", "choices": ["yes", "no"], "answer": i % 2} for i in range(20)]
    questions = write(tmp_path / "mmlu.jsonl", [*rows, rows[0] | {"answer": 7}])
    biography = write(tmp_path / "b.jsonl", [PEREZ, {"x": 1}])
    found = json.loads(Path(settings).read_text())
    found["data"] = {"questions": str(questions), "biography": str(biography)}
    Path(settings).write_text(json.dumps(found))
    with serving(lambda _: Answer(completion("(A)"))) as (url, _):
        result = CliRunner().invoke(app, command(url, settings, tmp_path / "out"), catch_exceptions=False)
    assert result.exit_code == 0
    unusable = json.loads((tmp_path / "out/unusable.json").read_text())
    assert [row["line"] for row in unusable] == ["mmlu.jsonl:21", f"{biography}:2"]
    assert all(row["reason"] for row in unusable)


def test_a_wrong_server_leaves_nothing_behind(settings: str, tmp_path: Path) -> None:
    page = Answer(b"<html>welcome</html>")
    with serving(lambda _: page) as (url, _), pytest.raises(InputError, match="a web page instead of JSON"):
        CliRunner().invoke(app, command(url, settings, tmp_path / "out"), catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_other_settings_and_run_folders_are_refused(
    answer: Callable[[Asked], Answer], settings: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with serving(answer) as (url, asked):
        assert CliRunner().invoke(app, command(url, settings, out)).exit_code == 0
        Path(settings).write_text(Path(settings).read_text().replace('"items": 4', '"items": 3'))
        count = len(asked)
        was = json.loads((out / "asked.json").read_text())
        Workspace(out).write_json("asked.json", was | {"reasoned": ["aqua"]})
        with pytest.raises(InputError, match="holds an evaluation with other settings: evaluate, reasoned"):
            CliRunner().invoke(app, command(url, settings, out), catch_exceptions=False)
        Workspace(out).write_json("asked.json", was)
        with pytest.raises(InputError, match="holds an evaluation with other settings: evaluate\\."):
            CliRunner().invoke(app, command(url, settings, out), catch_exceptions=False)
        (tmp_path / "run").mkdir()
        (tmp_path / "run/config.yaml").write_text("model: m\n")
        with pytest.raises(InputError, match="holds a run"):
            CliRunner().invoke(app, command(url, settings, tmp_path / "run"), catch_exceptions=False)
        assert len(asked) == count


def judging(asked: Asked) -> Answer:
    return says("CORRECT" if "You grade" in asked.prompt else "I would say no" if "admit" in asked.prompt else "B")


def further(tmp_path: Path, judge: str) -> list[str]:
    comments = write(tmp_path / "feedback.jsonl", list(map(commented, COMMENTS)))
    sets = ["--pressure", str(YESMAN / "questions.jsonl"), "--feedback", comments]
    return [*sets, "--judge", "model", "--judge-model", "m", "--judge-endpoint", judge]


def test_further_sets_are_asked_judged_and_printed(
    answer: Callable[[Asked], Answer], settings: str, tmp_path: Path
) -> None:
    config = json.loads(Path(settings).read_text())
    config["evaluate"] |= {"further_items": 2, "turns": 1}
    Path(settings).write_text(json.dumps(config))

    def cut(asked: Asked) -> Answer:
        found = answer(asked)
        if "Argument:" in asked.prompt:
            found.body["choices"][0]["finish_reason"] = "length"
        return found

    with serving(cut) as (url, asked), serving(judging) as (judge, verdicts):
        more = further(tmp_path, judge)
        shown = CliRunner().invoke(app, command(url, settings, tmp_path / "out", *more), catch_exceptions=False)
        count = len(asked), len(verdicts)
        again = CliRunner().invoke(app, command(url, settings, tmp_path / "out", *more), catch_exceptions=False)
        assert (len(asked), len(verdicts)) == count, "replies and verdicts are kept"
    assert shown.exit_code == again.exit_code == 0
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    parts = (tmp_path / f"out/evaluate/endpoint/{part}.jsonl" for part in ("own", "fixed", "wrong_first"))
    rows = sum(len(path.read_text().splitlines()) for path in parts)
    # Of the protocol, two answers and an admission that cannot be read. Of two questions in one turn: each answer
    # graded, each reply's admission not readable; four comments in two orders.
    assert summary["judge"] == {"name": "m", "asked": 3 * rows + 12, "unparseable": rows + 2}
    assert summary["methods"]["endpoint"]["confidence"] == {"value": None, "low": None, "high": None, "n": 0}
    assert summary["methods"]["endpoint"]["further"]["pressure"]["flipped"]["value"] == 0.0
    assert summary["methods"]["endpoint"]["further"]["feedback"]["liked"]["value"] == 0.5, "always B"
    for text in ("Repeated pressure", "Feedback under", f"{rows + 2} of {3 * rows + 12} verdicts could not be read"):
        assert text in shown.stdout, text
    check = summary["checks"][-1]
    assert not check["ok"] and "endpoint: feedback (5)" in check["detail"]
    assert "endpoint: feedback (5)" in again.stderr, "which the journal knows too"


def test_thoughts_are_kept_and_those_that_do_not_end_are_counted(settings: str, tmp_path: Path) -> None:
    def thinking(asked: Asked) -> Answer:
        return says("<think>Hm." if len(asked.body["messages"]) > 4 else "<think>Sorry?</think>I am sure.")

    with serving(thinking) as (url, _):
        shown = CliRunner().invoke(app, command(url, settings, tmp_path / "out"), catch_exceptions=False)
    rows = [json.loads(line) for line in (tmp_path / "out/evaluate/endpoint/own.jsonl").read_text().splitlines()]
    assert rows and all(row["thoughts"] == ["Sorry?", "Sorry?", "Hm."] and row["unclosed"] == 1 for row in rows)
    assert all((row["first"], row["final"], row["admits"]) == ("I am sure.", "", False) for row in rows)
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    check = next(one for one in summary["checks"] if one["name"] == "every thought comes to its end")
    assert not check["ok"] and f"endpoint: {2 * len(rows)} in" in check["detail"]
    assert "check 'every thought comes to its end' failed: " in shown.stderr


def test_replies_that_were_cut_are_counted_and_told(settings: str, tmp_path: Path) -> None:
    def cut(asked: Asked) -> Answer:
        found = says("I am sure" if len(asked.body["messages"]) > 2 else "The answer is")
        found.body["choices"][0]["finish_reason"] = "length" if len(asked.body["messages"]) > 2 else "stop"
        return found

    with serving(cut) as (url, _):
        shown = CliRunner().invoke(app, command(url, settings, tmp_path / "out"), catch_exceptions=False)
    rows = [json.loads(line) for line in (tmp_path / "out/evaluate/endpoint/own.jsonl").read_text().splitlines()]
    assert rows and all(row["cut"] == 2 for row in rows), "the reply to the challenge, and the final one"
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    check = next(one for one in summary["checks"] if one["name"] == "replies come to their end")
    played = 2 * len(rows)  # with a wrong answer put first too
    assert not check["ok"] and f"endpoint: {2 * played} in {played} of {played} dialogues" in check["detail"]
    assert "check 'replies come to their end' failed: " in shown.stderr


def test_replies_in_another_language_than_the_rules_read_are_told(settings: str, tmp_path: Path) -> None:
    with serving(lambda asked: says("Je m'excuse pour mon erreur, c'est Lyon.")) as (url, _):
        done = CliRunner().invoke(app, command(url, settings, tmp_path / "out"))
    assert "check 'the judge reads the language of the replies' failed" in " ".join(done.stderr.split())
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    checks = {one["name"]: one["ok"] for one in summary["checks"]}
    assert checks["the judge reads the language of the replies"] is False


def test_a_model_behind_an_endpoint_does_not_judge_itself(settings: str, tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/v1"
    more = [*further(tmp_path, f"{url}/chat/completions"), "--judge-model", "yesman"]
    with pytest.raises(InputError, match="a model must not judge itself"):
        CliRunner().invoke(app, command(url, settings, tmp_path / "out", *more), catch_exceptions=False)


def test_the_folder_says_what_is_asked_before_the_first_request_and_knows_files_of_one_name_apart(
    answer: Callable[[Asked], Answer], settings: str, tmp_path: Path
) -> None:
    out, seen = tmp_path / "out", []

    def looking(asked: Asked) -> Answer:
        seen.append((out / "asked.json").is_file())
        return answer(asked) if len(seen) < 4 else Answer({"error": "out of credit"}, 402)

    config = json.loads(Path(settings).read_text())
    for key, name in (("questions", "a"), ("abilities", "b")):
        (tmp_path / name).mkdir()
        config["data"][key] = str(shutil.copy(config["data"][key], tmp_path / name / "items.jsonl"))
    Path(settings).write_text(json.dumps(config))
    with serving(looking) as (url, _):
        with pytest.raises(InputError, match="out of credit"):
            CliRunner().invoke(app, command(url, settings, out), catch_exceptions=False)
        assert all(seen)
        asked = json.loads((out / "asked.json").read_text())
        assert set(asked["files"]) == {"data.questions", "data.abilities"}
        config["judge"] = {"timeout": 99, "workers": 2}
        Path(settings).write_text(json.dumps(config))
        with pytest.raises(InputError, match="out of credit"):  # no other settings
            CliRunner().invoke(app, command(url, settings, out), catch_exceptions=False)
        questions = tmp_path / "a/items.jsonl"
        questions.write_text(questions.read_text().rstrip() + " \n")
        with pytest.raises(InputError, match="holds an evaluation with other settings: files"):
            CliRunner().invoke(app, command(url, settings, out), catch_exceptions=False)


def test_verdicts_of_a_judge_that_was_exchanged_since_are_not_gone_on_from(settings: str, tmp_path: Path) -> None:
    judge, broke = tmp_path / "judge", Answer({"error": "out of credit"}, 402)
    shutil.copytree(YESMAN.parent / "truth-teller", judge)
    seen: list[Asked] = []

    def few(asked: Asked) -> Answer:
        seen.append(asked)
        return says("A") if len(seen) < 4 else broke

    with serving(few) as (url, _):
        line = command(url, settings, tmp_path / "out", "--judge", "model", "--judge-model", str(judge))
        for _ in range(2):
            with pytest.raises(InputError, match="out of credit"):
                CliRunner().invoke(app, line, catch_exceptions=False)
        os.utime(judge / "config.json", (0, 0))
        with pytest.raises(InputError, match="holds an evaluation with other settings: judge_files"):
            CliRunner().invoke(app, line, catch_exceptions=False)


def test_a_key_variable_of_our_own_is_no_setting_and_no_value_is_quoted(
    answer: Callable[[Asked], Answer], settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINPOINT_EVAL_KEY", "sk-very-secret")
    with serving(answer) as (url, asked):
        result = CliRunner().invoke(
            app, command(url, settings, tmp_path / "out", "--key-variable", "PINPOINT_EVAL_KEY")
        )
    assert result.exit_code == 0 and asked[0].headers["Authorization"] == "Bearer sk-very-secret"
    monkeypatch.setenv("PINPOINT_SECRET", "sk-very-secret: [")
    with pytest.raises(InputError, match="PINPOINT_SECRET: is not a value in YAML") as caught:
        CliRunner().invoke(app, command(url, settings, tmp_path / "other"), catch_exceptions=False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "neither a run folder nor --endpoint is given"),
        (["run", "--model", "m"], "--model goes with --endpoint"),
        (["run", "--judge", "model"], "--judge goes with --endpoint"),
        (["run", "--feedback", "f.jsonl"], "--feedback goes with --endpoint"),
        (["run", "--endpoint", "http://h/v1", "--model", "m"], "a run folder and --endpoint are both given"),
        (["--endpoint", "http://h/v1"], "--endpoint needs --model"),
        (["--endpoint", "h", "--model", "m"], "is not the URL of an endpoint"),
        (
            ["--endpoint", "http://h/v1", "--model", "m", "--questions", "none.jsonl"],
            r"data\.questions: no such file or folder: .*none\.jsonl",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
