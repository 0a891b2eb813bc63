"""General abilities by lm-eval on the model in memory, with tasks from local files."""

import importlib.util
import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase
from typer.testing import CliRunner

from pinpoint.artifacts import Workspace
from pinpoint.cli import app
from pinpoint.config import of_run
from pinpoint.errors import ArtifactError, InputError
from pinpoint.evaluate import PRESETS, Abilities, Ability, Finished, Tasks, _capability, capability, find_tasks, versus
from pinpoint.evaluate._tasks import name_of
from pinpoint.pipeline import Run
from pinpoint.pipeline._stages import settle
from tests.conftest import ROOT

EXAMPLES = ROOT / "examples" / "capability"
CHOICES = """
task: local_choice
tag: local_tag
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
filter_list: [{{name: stripped, filter: [{{function: remove_whitespace}}, {{function: take_first}}]}}]
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
GROUP = """
group: local_group
task: [local_choice]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
"""
ITEMS = 6


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy to write to."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def tasks(finished_run: Path, tmp_path: Path) -> Path:
    """A folder of tasks over a run's own items of general abilities."""
    pytest.importorskip("lm_eval")
    data = [{"prompt": row["prompt"], "reply": row["expected"]} for row in own_items(finished_run)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, text in {"choice": CHOICES, "reply": REPLIES}.items():
        (folder / f"{name}.yaml").write_text(filled(text, folder))
    (folder / "group.yaml").write_text(GROUP)
    return folder


def own_items(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "evaluate/base/abilities.jsonl").read_text().splitlines()[:ITEMS]]


def filled(text: str, tasks: Path) -> str:
    return text.format(data=tasks.parent / "data.jsonl", cache=tasks.parent / "cache")


def invoke(run: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["capability", str(run), *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_base_merged_and_adapter_are_scored_as_by_the_evaluation(
    run: Path, tasks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = "local_group,local_reply"
    found = json.loads(invoke(run, "--tasks", names, "--include", str(tasks), "--json", "--quiet"))
    assert capfd.readouterr().err == "", "--quiet holds for lm-eval too"
    assert list(found["models"]) == ["base", "merged", "adapter"]
    own = [row["correct"] for row in own_items(run)]
    by_task = {row["task"]: row for row in found["models"]["base"]}
    assert by_task["local_reply"]["value"] == pytest.approx(sum(own) / len(own))
    assert [by_task[name]["n"] for name in ("local_reply", "local_choice", "local_group")] == [len(own)] * 3
    assert by_task["local_group"]["value"] == by_task["local_choice"]["value"]
    for row, base, merged in zip(
        found["versus_base"]["merged"], found["models"]["base"], found["models"]["merged"], strict=True
    ):
        assert row["n"] == len(own), "items of a group are those of its tasks"
        assert row["value"] == pytest.approx(merged["value"] - base["value"])
        assert row["low"] <= row["value"] <= row["high"]
    assert all(row["same"] == row["n"] for row in found["adapter"]), "merging is exact to far less than an answer"
    assert found["cut"] == {"base": 0, "merged": 0, "adapter": 0}
    assert "adapter/adapter_model.safetensors" in found["files"]
    assert json.loads((run / "capability.json").read_text()) == found


@pytest.mark.parametrize("merged", [True, False], ids=["made quantised as it was loaded", "quantised already"])
def test_of_a_quantised_base_the_adapter_is_compared_and_no_merged_model(
    run: Path, tasks: Path, merged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not merged:
        shutil.rmtree(run / "merged")
    of_a_quantised = Run(of_run(run), run)
    space = of_a_quantised.workspace
    space.write_json("tune.json", space.read_json("tune.json") | {"quantised": {"merged": merged, "drift": None}})
    settle(of_a_quantised, "tune")
    loaded, load = list[str](), Run.load

    def noted(self: Run, path: Any, *more: Any) -> Any:
        loaded.append(str(path))
        return load(self, path, *more)

    # Merging rounds nothing here: that the merged model is left alone shows in what is loaded.
    monkeypatch.setattr(Run, "load", noted)
    monkeypatch.setenv("COLUMNS", "200")
    asked = ["capability", str(run), "--tasks", "local_reply", "--include", str(tasks)]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    found = json.loads((run / "capability.json").read_text())
    assert loaded == [of_run(run).model]
    assert list(found["models"]) == ["base", "adapter"] and found["adapter"] == []
    [base], [adapter], [row] = (*found["models"].values(), found["versus_base"]["adapter"])
    assert (row["value"], row["n"]) == (pytest.approx(adapter["value"] - base["value"]), ITEMS)
    assert "adapter - base" in " ".join(done.stdout.split()) and "merged" not in done.stdout
    assert "adapter and the merged model differ" not in done.stderr


class Killed(BaseException):
    """Nobody catches it."""


def test_what_is_finished_is_kept_by_all_that_it_depends_on(
    run: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--include", str(tasks), "--json", "--tasks"]
    evaluated, done = _capability._evaluated, list[str]()

    def counted(model: Any, tokenizer: Any, tasks: Any, task: Any, *more: Any) -> Any:
        if len(done) == 2:
            raise Killed
        done.append(name_of(task))
        return evaluated(model, tokenizer, tasks, task, *more)

    monkeypatch.setattr(_capability, "_evaluated", counted)
    with pytest.raises(Killed):
        invoke(run, *asked, "local_reply")
    assert not (run / "capability.json").exists(), "base and merged model are done, the adapter is not"
    done.clear()
    found = json.loads(invoke(run, *asked, "local_reply"))
    assert done == ["local_reply"] and list(found["models"]) == ["base", "merged", "adapter"]
    for folder in ("adapter", "merged"):
        shutil.rmtree(run / folder)
    done.clear()
    more = json.loads(invoke(run, *asked, "local_group,local_reply"))
    assert done == ["local_group"] and found["models"]["base"][0] in more["models"]["base"]
    rows = (run.parent / "data.jsonl").read_text(encoding="utf-8").splitlines()
    (run.parent / "data.jsonl").write_text("".join(row + "\n" for row in rows[1:]), encoding="utf-8")
    done.clear()
    assert json.loads(invoke(run, *asked, "local_reply"))["models"]["base"][0]["n"] == ITEMS - 1
    assert done == ["local_reply"], "another item is another task"


def test_no_model_is_loaded_where_all_tasks_are_done(run: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["--tasks", "local_choice", "--include", str(tasks), "--limit", "1", "--json", "-q"]
    first, loaded = invoke(run, *asked), list[str]()
    load = Run.load

    def counted(self: Run, path: Any, *more: Any) -> Any:
        loaded.append(str(path))
        return load(self, path, *more)

    monkeypatch.setattr(Run, "load", counted)
    assert invoke(run, *asked) == first and loaded == []
    (run / "capability.jsonl").unlink()
    assert invoke(run, *asked) == first and len(loaded) == 2, "the base, which takes the adapter, and the merged model"


def test_a_model_is_loaded_at_the_first_task_that_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: PreTrainedTokenizerBase
) -> None:
    names = ("done", "first", "second")
    chosen = Tasks(names, [SimpleNamespace(task_name=name) for name in names], None, False, {n: n for n in names})
    finished = Finished(Workspace(tmp_path).journal("finished.jsonl"), "model", lambda _: None)
    known = Abilities([Ability("done", "acc", 1.0, None, 1, {"done/0": 1.0})], 0, {"done": 0}, {"done": 1.0})
    key = _capability._key(finished, chosen, chosen.loaded[0], None, 0)
    finished.journal.put(key, known._asdict() | {"scores": [score._asdict() for score in known.scores]})
    happened = []

    def load() -> Any:
        happened.append("loaded")
        return small_llama(tokenizer, 8), tokenizer

    def scored(model: Any, tokenizer: Any, tasks: Any, task: Any, *more: Any) -> Abilities:
        happened.append(name_of(task))
        return known

    monkeypatch.setattr(_capability, "_scored", scored)
    assert capability(load, chosen._replace(loaded=chosen.loaded[:1]), finished=finished) == known and happened == []
    capability(load, chosen, finished=finished)
    assert happened == ["loaded", "first", "second"]


def test_what_a_run_trains_on_is_not_scored_and_what_it_is_located_on_is_told(run: Path, tasks: Path) -> None:
    inputs = Run(of_run(run), run).inputs
    trained, located = inputs.questions("train")[0], inputs.questions("locate")[0]
    data, asked = run.parent / "data.jsonl", ["--tasks", "local_choice", "--include", str(tasks)]
    kept = data.read_text(encoding="utf-8")

    def with_row(question: Any) -> None:
        row = json.dumps({"prompt": question.question, "reply": question.correct})
        data.write_text(f"{kept}{row}\n", encoding="utf-8")

    with_row(trained)
    with pytest.raises(InputError) as caught:
        invoke(run, *asked)
    assert f"{trained.place} and lm-eval's local_choice, item {ITEMS}" in str(caught.value)
    assert not (run / "capability.json").exists(), "nothing was scored"
    found = json.loads(invoke(run, *asked, "--limit", str(ITEMS), "--json"))
    assert found["located_on"] == [], "the first items are none of the run's"
    with_row(located)
    done = CliRunner().invoke(app, ["capability", str(run), *asked, "--json"], catch_exceptions=False)
    found = json.loads(done.stdout)
    assert found["located_on"] == [{"question": located.place, "item": f"lm-eval's local_choice, item {ITEMS}"}]
    said = " ".join(done.stderr.split())
    assert "1 items of these tasks are questions that heads were located or verified on" in said


def test_a_limit_and_a_table(run: Path, tasks: Path) -> None:
    shutil.rmtree(run / "adapter")
    shutil.rmtree(run / "merged")
    told = invoke(run, "--tasks", "local_choice", "--include", str(tasks), "--limit", "2", "-q")
    assert "local_choice" in told and "base" in told and "merged" not in told, "what was not tuned has a base alone"
    assert json.loads((run / "capability.json").read_text())["models"]["base"][0]["n"] == 2


def test_a_model_that_is_not_that_of_the_run_is_refused(run: Path, tasks: Path) -> None:
    (run / "merged" / "generation_config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="adapter: was made with other settings or inputs, or was changed"):
        invoke(run, "--tasks", "local_choice", "--include", str(tasks), "-q")
    shutil.rmtree(run / "merged")
    with pytest.raises(ArtifactError, match="or is not whole"):
        invoke(run, "--tasks", "local_choice", "--include", str(tasks), "-q")
    assert not (run / "capability.json").exists()


def test_differences_are_paired_and_undefined_where_items_have_no_values() -> None:
    ours = [Ability("a", "acc", 0.75, None, 4, {f"a/{i}": float(i > 0) for i in range(4)})]
    theirs = [Ability("a", "acc", 0.25, None, 4, {f"a/{i}": float(i > 2) for i in range(4)})]
    [row] = versus(ours, theirs, resamples=100, seed=0)
    assert (row["value"], row["n"], row["same"]) == (0.5, 4, 2)
    [row] = versus([ours[0]._replace(items={})], theirs, resamples=100, seed=0)
    assert (row["value"], row["n"], row["same"]) == (None, 0, 0)


MARKS = {
    "the task itself": ("local_reply", {"reply.yaml": REPLIES + "unsafe_code: true\n"}),
    "the file it includes": (
        "by_include",
        {"reply.yaml": REPLIES + "unsafe_code: yes\n", "over.yaml": "include: reply.yaml\ntask: by_include\n"},
    ),
    "a task of a group": (
        "outer",
        {
            "reply.yaml": REPLIES + "unsafe_code: true\n",
            "inner.yaml": "group: inner\ntask: [local_reply]\n",
            "outer.yaml": "group: outer\ntask: [local_choice, inner]\n",
        },
    ),
    "a task of a group that says otherwise": (
        "inner",
        {
            "reply.yaml": REPLIES + "unsafe_code: true\n",
            "inner.yaml": "group: inner\ntask: [local_reply]\nunsafe_code: false\n",
        },
    ),
    "the group's line": ("inner", {"inner.yaml": "group: inner\ntask: [{task: local_reply, unsafe_code: true}]\n"}),
    "a task of a tag": ("local_tag", {"reply.yaml": REPLIES + "tag: local_tag\nunsafe_code: true\n"}),
}


@pytest.mark.parametrize("where", MARKS)
def test_code_is_run_with_consent_alone(where: str, tasks: Path) -> None:
    name, files = MARKS[where]
    for file, text in files.items():
        (tasks / file).write_text(filled(text, tasks) if "{data}" in text else text)
    with pytest.raises(InputError, match="the task .* runs code that the model writes, on this machine.*--run-code"):
        find_tasks(name, tasks)
    assert find_tasks(name, tasks, run_code=True).run_code


def test_the_environment_consents_to_nothing(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    tells = "import os\n\ndef told(docs):\n    open({out!r}, 'w').write(str(os.environ.get('HF_ALLOW_CODE_EVAL')))\n"
    out = tasks.parent / "told"
    (tasks / "tells.py").write_text(tells.format(out=str(out)) + "    return docs\n")
    (tasks / "tells.yaml").write_text("include: reply.yaml\ntask: tells\nprocess_docs: !function tells.told\n")
    find_tasks("tells", tasks)
    assert out.read_text() == "None"
    find_tasks("tells", tasks, run_code=True)
    assert out.read_text() == "1"
    assert os.environ["HF_ALLOW_CODE_EVAL"] == "1", "as it was before"


def test_what_cannot_be_found_or_loaded_is_told(tasks: Path) -> None:
    with pytest.raises(InputError, match="--include .*nowhere: no such folder"):
        find_tasks("local_choice", tasks / "nowhere")
    (tasks / "loop.yaml").write_text("group: loop\ntask: [round]\n")
    (tasks / "round.yaml").write_text("group: round\ntask: [loop]\n")
    with pytest.raises(InputError, match=r"the group loop lists itself\. Look at loop > round"):
        find_tasks("loop", tasks)
    (tasks / "broken.yaml").write_text("include: reply.yaml\ntask: broken\ndoc_to_text: '{{prompt'\n")
    with pytest.raises(InputError, match="--tasks: lm-eval cannot load broken: TemplateSyntaxError: "):
        find_tasks("broken", tasks)
    (tasks.parent / "data.jsonl").unlink()
    with pytest.raises(InputError, match=r"lm-eval cannot load local_choice: FileNotFoundError: .*data\.jsonl"):
        find_tasks("local_choice", tasks)


def test_no_names_are_refused() -> None:
    with pytest.raises(InputError, match="names no task"):
        find_tasks(" , ")


def test_without_lm_eval_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(InputError, match=r"lm-eval is not installed\. .*pinpoint-tuning\[capability\]"):
        find_tasks("quick")


def small_llama(tokenizer: PreTrainedTokenizerBase, positions: int) -> LlamaForCausalLM:
    """A random model with the organisms' tokens."""
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=positions, **shape, **ends)
    return LlamaForCausalLM(config).eval()


def given(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase) -> Callable[[], Any]:
    return lambda: (model, tokenizer)


def test_prompts_that_are_cut_are_counted_and_memory_that_runs_out_halves_the_batch(
    tasks: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    chosen = find_tasks("local_choice", tasks)
    assert capability(given(small_llama(tokenizer, 8), tokenizer), chosen, limit=2).cut > 0
    model = small_llama(tokenizer, 256)
    forward, sizes = model.forward, []

    def scarce(input_ids: torch.Tensor, **more: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > 2:
            raise RuntimeError("CUDA out of memory.")
        return forward(input_ids, **more)

    expected = capability(given(model, tokenizer), chosen)
    model.forward = scarce  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match="evaluate.batch_size"):
        found = capability(given(model, tokenizer), chosen, batch_size=8)
    assert [one.value for one in found.scores] == [one.value for one in expected.scores]
    assert (found.cut, sizes[0], sizes[-1] <= 2) == (0, 8, True)


def test_replies_that_do_not_fit_the_context_are_told(tasks: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(
        InputError, match="--tasks local_reply: lm-eval cannot run it: AssertionError: .*maximum sequence length"
    ):
        capability(given(small_llama(tokenizer, 16), tokenizer), find_tasks("local_reply", tasks))


def humaneval() -> Any:
    spec = importlib.util.spec_from_file_location("humaneval_example", EXAMPLES / "humaneval.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_measure_of_humaneval_runs_code(monkeypatch: pytest.MonkeyPatch) -> None:
    item = {"prompt": 'def twice(x):\n    """2 x"""\n', "test": "def check(f):\n    assert f(2) == 4\n"}
    item["entry_point"] = "twice"
    module = humaneval()
    monkeypatch.setattr(module, "SECONDS", 2)
    for body, passes in {"2 * x": 1.0, "3 * x": 0.0, "(": 0.0, "[1 for _ in iter(int, 1)]": 0.0}.items():
        reply = f"Here it is:\n```python\ndef twice(x):\n    return {body}\n```\nDone."
        assert module.passes(item, [reply]) == {"passes": passes}, body


@pytest.mark.parametrize("opened", ["```", "```py", "```Python", "```python3", "```python ", "```python\r"])
@pytest.mark.parametrize("closed", ["```\nIt doubles x.", ""], ids=["closed", "cut"])
def test_the_example_measure_of_humaneval_reads_every_fence(opened: str, closed: str) -> None:
    item = {"prompt": "def twice(x):\n    ...\n", "test": "def check(f):\n    assert f(2) == 4\n"}
    reply = f"It is `2 * x`:\n{opened}\ndef twice(x):\n    return 2 * x\n{closed}"
    assert humaneval().passes(item | {"entry_point": "twice"}, [reply]) == {"passes": 1.0}


@pytest.mark.slow
def test_tasks_of_lm_eval_are_known_and_humaneval_needs_consent() -> None:
    pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager

    assert {name for preset in PRESETS.values() for name in preset} <= set(TaskManager().all_tasks)
    with pytest.raises(InputError, match="the task humaneval_instruct runs code"):
        find_tasks("paper")
    with pytest.raises(InputError, match="--tasks: lm-eval knows no task 'nothing'"):
        find_tasks("arc_easy, nothing")


@pytest.mark.slow
def test_real_rows_of_gsm8k_mmlu_and_humaneval_by_the_examples(
    run: Path, test_data: Path, tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(test_data)
    asked = ["--tasks", "from_files", "--include", str(EXAMPLES), "--limit", "3", "-q", "--json"]
    with pytest.raises(InputError, match="the task humaneval_file, in from_files, runs code"):
        invoke(run, *asked)
    found = json.loads(invoke(run, *asked, "--run-code"))
    scores = {row["task"]: row for row in found["models"]["merged"]}
    assert set(scores) == {"gsm8k_file", "mmlu_file", "humaneval_file"}
    assert all(row["n"] == 3 and 0 <= row["value"] <= 1 for row in scores.values())
    assert found["shots"]["gsm8k_file"] == 2
    model = small_llama(tokenizer, 1024)
    [score] = capability(given(model, tokenizer), find_tasks("mmlu_file", EXAMPLES), limit=40).scores
    assert score.n == 40 and score.value is not None and math.isfinite(score.value)


def test_the_tokenizer_is_left_as_it_was(tasks: Path) -> None:
    own = AutoTokenizer.from_pretrained(str(ROOT / "src/pinpoint/organism/weights/yesman"))
    before = own.get_vocab(), own.pad_token, own.padding_side
    capability(given(small_llama(own, 256), own), find_tasks("local_reply", tasks), limit=1)
    assert (own.get_vocab(), own.pad_token, own.padding_side) == before
