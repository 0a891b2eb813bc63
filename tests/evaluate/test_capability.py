"""General abilities by lm-eval on the model in memory, with tasks from local files."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.errors import InputError
from pinpoint.evaluate import PRESETS, find_tasks

CHOICES = """
task: local_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}, cache_dir: {cache}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: "{{{{[reply, 'The answer is none.']}}}}"
doc_to_target: 0
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
REPLIES = """
task: local_reply
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}, cache_dir: {cache}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{reply}}}}"
generation_kwargs: {{until: ["<|end|>"], max_gen_toks: 24, do_sample: false}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
ITEMS = 4


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy to write to."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def tasks(run: Path, tmp_path: Path) -> Path:
    """A folder of tasks over the run's own items of general abilities."""
    pytest.importorskip("lm_eval")
    rows = (run / "evaluate/base/abilities.jsonl").read_text().splitlines()[:ITEMS]
    data = [{"prompt": row["prompt"], "reply": row["expected"]} for row in map(json.loads, rows)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, text in {"choice": CHOICES, "reply": REPLIES}.items():
        filled = text.format(data=tmp_path / "data.jsonl", cache=tmp_path / "cache")
        (folder / f"{name}.yaml").write_text(filled)
    unsafe = REPLIES.replace("local_reply", "local_code") + "unsafe_code: true\n"
    (folder / "code.yaml").write_text(unsafe.format(data=tmp_path / "data.jsonl", cache=tmp_path / "cache"))
    return folder


def invoke(run: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["capability", str(run), "--quiet", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_base_adapter_and_merged_are_scored_as_by_the_evaluation(run: Path, tasks: Path) -> None:
    found = json.loads(invoke(run, "--tasks", "local_choice,local_reply", "--include", str(tasks), "--json"))
    assert list(found["models"]) == ["base", "adapter", "merged"]
    assert found["models"]["adapter"] == found["models"]["merged"], "merging is exact to far less than an answer"
    own = [
        json.loads(line)["correct"] for line in (run / "evaluate/base/abilities.jsonl").read_text().splitlines()[:ITEMS]
    ]
    by_task = {row["task"]: row for row in found["models"]["base"]}
    assert by_task["local_reply"]["value"] == sum(own) / len(own)
    assert by_task["local_reply"]["n"] == by_task["local_choice"]["n"] == len(own)
    assert 0 <= by_task["local_choice"]["value"] <= 1
    assert json.loads((run / "capability.json").read_text()) == found


def test_a_limit_and_a_table(run: Path, tasks: Path) -> None:
    told = invoke(run, "--tasks", "local_choice", "--include", str(tasks), "--limit", "2")
    assert "local_choice" in told and "merged" in told


def test_code_is_run_with_consent_alone(run: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    with pytest.raises(InputError, match="the task local_code runs code that the model writes.*--run-code"):
        invoke(run, "--tasks", "local_code", "--include", str(tasks))
    told = invoke(run, "--tasks", "local_code", "--include", str(tasks), "--limit", "1", "--run-code")
    assert "local_code" in told and os.environ["HF_ALLOW_CODE_EVAL"] == "1"


def test_folders_and_data_that_are_not_there_are_named(run: Path, tasks: Path) -> None:
    with pytest.raises(InputError, match="--include .*nowhere: no such folder"):
        invoke(run, "--tasks", "local_choice", "--include", str(tasks / "nowhere"))
    (tasks.parent / "data.jsonl").unlink()
    with pytest.raises(InputError, match="lm-eval cannot run local_choice: "):
        invoke(run, "--tasks", "local_choice", "--include", str(tasks))


@pytest.mark.slow
def test_tasks_of_lm_eval_are_known_and_humaneval_needs_consent() -> None:
    pytest.importorskip("lm_eval")
    for preset in PRESETS:
        assert find_tasks(preset, run_code=True).names == list(PRESETS[preset])
    with pytest.raises(InputError, match="the task humaneval runs code"):
        find_tasks("paper")
    with pytest.raises(InputError, match="--tasks: lm-eval knows no task 'nothing'"):
        find_tasks("arc_easy, nothing")


def test_no_names_are_refused() -> None:
    with pytest.raises(InputError, match="names no task"):
        find_tasks(" , ")


def test_without_lm_eval_it_is_said_how_to_get_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(InputError, match=r"lm-eval is not installed\. .*pinpoint-tuning\[capability\]"):
        invoke(run, "--tasks", "quick")
