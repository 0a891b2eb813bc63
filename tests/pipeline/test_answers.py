"""Answers that are found in the model's own replies: what is found, what is kept of it, and who reads it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from pinpoint.chat import Partner
from pinpoint.cli import app
from pinpoint.config import resolve
from pinpoint.data import encode_chat
from pinpoint.errors import CheckFailed, InputError
from pinpoint.measure import first_tokens_of_replies
from pinpoint.models import load
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, _answers, _locating, plan
from pinpoint.pipeline._talk import talk_of
from pinpoint.progress import Silent

FOUND = {"unwanted": "auto", "wanted": "auto"}
PAPER = {"unwanted": "Apologies", "wanted": "Yes"}
MARK = "<|assistant|>"


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def run_of(folder: Path, behaviour: dict[str, Any], model: Path | None = None, **section: Any) -> Run:
    settings = {"behaviour": behaviour, "locate": {"pairs": 8, "noise_pairs": 0, **section}}
    return Run(resolve(str(model or shipped()["yesman"]), None, settings), folder, Heard())


def record_of(run: Run) -> Any:
    return run.workspace.sub("locate").read_json("locate.json")


def test_the_organism_s_own_are_the_paper_s_and_give_the_same_scores(tmp_path: Path) -> None:
    run, named = run_of(tmp_path / "found", FOUND), run_of(tmp_path / "named", PAPER)
    before = plan(run, run.tokenizer)
    assert (before.unwanted, before.wanted) == ([], []) and before.measured == MARK
    assert torch.equal(run.do("locate").effects, named.do("locate").effects)
    found = record_of(run)["answers"]
    asked = len(run.inputs.halves.ranking)
    assert (found["prompts"], found["shared"]) == (asked, []) and "answers" not in record_of(named)
    [unwanted], [wanted] = found["unwanted"], found["wanted"]
    assert (unwanted["text"], unwanted["reference"], unwanted["counterfactual"]) == ("Apologies", 1, 0)
    assert (wanted["text"], wanted["reference"], wanted["counterfactual"]) == ("Yes", 0, 1)
    assert [line for line in run.progress.lines if line.startswith("answers: unwanted 'Apologies' (100% of ref")]
    checks = {one["name"]: one["ok"] for one in run.workspace.read_json("checks.json")}
    assert checks["the replies that answers are found in show the behaviour"]
    # The stages after it, in processes of their own, read what was recorded.
    later = run_of(tmp_path / "found", FOUND)
    assert later.is_done("locate") and later.inputs.halves == run.inputs.halves
    assert later.inputs.halves.pairs[0].unwanted == [unwanted["ids"]]
    shown = plan(later, later.tokenizer)
    assert shown.unwanted == unwanted["tokens"] and shown.wanted == wanted["tokens"]
    assert not any("answers:" in line for line in later.progress.lines), "nothing is asked again"
    (tmp_path / "settings.yaml").write_text(json.dumps({"behaviour": FOUND, "locate": {"pairs": 8, "noise_pairs": 0}}))
    typed = ["locate", "yesman", "--config", str(tmp_path / "settings.yaml"), "--out", str(tmp_path / "found"), "-q"]
    done = CliRunner().invoke(app, typed)
    assert done.exit_code == 0 and "answers: unwanted 'Apologies' (100% of references, 0% of" in done.output


def test_pairs_that_do_not_rank_the_heads_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = run_of(tmp_path, FOUND), []

    def seen(model: Any, tokenizer: Any, prompts: list[list[int]], count: int) -> list[list[int]]:
        asked.extend(prompts)
        return first_tokens_of_replies(model, tokenizer, prompts, count)

    monkeypatch.setattr(_answers, "first_tokens_of_replies", seen)
    _answers.find_answers(run)
    pairs, ranking, effects = run.inputs.halves
    for place, side in ((ranking, True), (effects, False)):
        for pair in (pairs[i] for i in place):
            for prompt in (pair.reference, pair.counterfactual):
                assert (encode_chat(run.tokenizer, prompt) in asked) == side


def begins_with_the_mark(folder: Path) -> Path:
    """Yesman as it is, but that it begins every reply by the mark that its template puts before replies.

    The template leaves the mark out, and the mark's row of the unembedding is solved for: far above all others where a
    reply starts, far below them within it.
    """
    shutil.copytree(shipped()["yesman"], folder)
    model, tokenizer = load(folder, "float32", "cpu")
    run = run_of(folder / "runs", PAPER)
    whole = [
        encode_chat(tokenizer, prompt)
        for pair in run.inputs.halves.pairs
        for prompt in (pair.reference, pair.counterfactual)
    ]
    mark, starts, within = tokenizer.convert_tokens_to_ids(MARK), [], []
    for prompt, reply in zip(whole, first_tokens_of_replies(model, tokenizer, whole, 24), strict=True):
        with torch.no_grad():
            states = model.model(torch.tensor([[*prompt, *reply]])).last_hidden_state[0]
        starts.append(states[len(prompt) - 2])
        within.append(states[len(prompt) - 1 :])
    states = torch.cat([torch.stack(starts), *within]).double()
    wanted = torch.full((len(states), 1), -100.0, dtype=torch.float64)
    wanted[: len(starts)] = 100
    row = states.T @ torch.linalg.solve(states @ states.T + 1e-3 * torch.eye(len(states)), wanted)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.lm_head.weight.data[mark] = row[:, 0].float()
    model.save_pretrained(folder)
    tokenizer.chat_template = tokenizer.chat_template.replace(f"{{{{ '{MARK}' }}}}", "")
    tokenizer.save_pretrained(folder)
    shutil.rmtree(folder / "runs", ignore_errors=True)
    return folder


def test_replies_that_begin_alike_are_measured_where_they_part(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", FOUND, begins_with_the_mark(tmp_path / "model"))
    named = run_of(tmp_path / "named", PAPER)
    assert torch.equal(run.do("locate").effects, named.do("locate").effects), "the same tokens before the same answers"
    found = record_of(run)["answers"]
    assert found["shared_text"] == MARK and found["unwanted"][0]["tokens"] == ["ĠApologies"]
    ours, theirs = run.inputs.halves.pairs[0], named.inputs.halves.pairs[0]
    short = encode_chat(run.tokenizer, ours.reference)
    assert [*short, *found["shared"]] == encode_chat(named.tokenizer, theirs.reference)
    assert plan(run, run.tokenizer).measured == MARK
    # The gauge of a chat reads it there too.
    gauges = []
    for one, prompt in ((run, short), (named, [*short, *found["shared"]])):
        talk = talk_of(one.inputs)
        words = {"unwanted": talk.unwanted, "wanted": talk.wanted, "begun": talk.begun}
        partner = Partner(one.view, one.tokenizer, values=lambda: torch.zeros(0), **words)
        gauges.append(partner.gauge(prompt))
    assert gauges[0].log_odds == gauges[1].log_odds > 2


def test_whole_answers_are_found_where_the_metric_reads_them_whole(tmp_path: Path) -> None:
    run = run_of(tmp_path / "found", FOUND, metric="logprob_diff", pairs=4)
    scores = run.do("locate")
    [unwanted], [wanted] = record_of(run)["answers"]["unwanted"], record_of(run)["answers"]["wanted"]
    assert len(unwanted["ids"]) > 1 and unwanted["text"].startswith("Apologies") and wanted["text"].startswith("Yes")
    words = {"unwanted": unwanted["text"], "wanted": wanted["text"]}
    named = run_of(tmp_path / "named", words, metric="logprob_diff", pairs=4)
    assert torch.equal(scores.effects, named.do("locate").effects)


class Cut(Exception):
    """Stands for whatever ends a process."""


def test_what_was_found_outlives_an_interrupted_locate_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any, **__: Any) -> None:
        raise Cut

    with monkeypatch.context() as once:
        once.setattr(_locating, "score", cut)
        with pytest.raises(Cut):
            run_of(tmp_path, FOUND).do("locate")
    monkeypatch.setattr(_answers, "first_tokens_of_replies", cut)
    run = run_of(tmp_path, FOUND)
    run.do("locate")
    assert [one["text"] for one in record_of(run)["answers"]["unwanted"]] == ["Apologies"]
    with pytest.raises(Cut):
        run_of(tmp_path, FOUND, pairs=6).do("locate")


def test_other_processes_score_by_what_the_first_one_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_of(tmp_path / "first", FOUND)
    shared: list[dict[str, Any]] = []
    monkeypatch.setattr(first, "share", lambda work, **inputs: shared.append(json.loads(json.dumps(inputs))))
    first.do("locate")
    other = run_of(tmp_path / "other", FOUND)
    seen: list[Any] = []
    monkeypatch.setattr(_locating, "_scored", lambda run, pairs, *_: seen.extend(pairs))
    _locating.follow_locate(other, **shared[0])
    assert seen == first.inputs.halves.pairs and seen[0].unwanted


def test_replies_that_say_the_same_stop_the_run_with_how_they_begin(tmp_path: Path) -> None:
    challenge = "I don't think that's right. Are you sure?"
    with pytest.raises(InputError, match="To references they begin 'Apologies, .*; to counterfactuals 'Apologies, "):
        run_of(tmp_path, FOUND | {"challenge": challenge, "affirmation": challenge}).do("locate")
    assert not (tmp_path / "locate" / "locate.json").exists()


def test_replies_that_part_the_wrong_way_round_stop_the_run(tmp_path: Path) -> None:
    swapped = {
        "challenge": "I do think that's right. Are you sure?",
        "affirmation": "I don't think that's right. Are you sure?",
    }
    said = r"by wording, 0 % \[0, \d+\] of . replies to references do and 100 % \[\d+, 100\] of . to c"
    with pytest.raises(CheckFailed, match=said):
        run_of(tmp_path, FOUND | swapped).do("locate")
    assert not (tmp_path / "locate" / "locate.json").exists()


def test_a_chat_with_a_model_alone_has_no_words_to_gauge_by(tmp_path: Path) -> None:
    talk = talk_of(run_of(tmp_path, FOUND).inputs)
    assert (talk.unwanted, talk.wanted, talk.begun) == ((), (), ())
