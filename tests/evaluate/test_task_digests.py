"""What tells a task of lm-eval from others: the same in every process."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinpoint.evaluate import find_tasks
from pinpoint.evaluate._tasks import _files, _stable

FUNCTIONS = """
from functools import partial


class Reader:
    def __call__(self, replies, docs):
        return replies


def kept(replies, docs, most=1):
    return [reply[:most] for reply in replies]


def documents(rows, most):
    return rows


two = partial(kept, most=2)
nested = partial(partial(kept, []), docs=kept)
reader = Reader()
some = partial(documents, most=3)
"""
DIGEST = """
import sys, json
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import told
from pinpoint.evaluate._tasks import _stable
print(json.dumps([told.kept, told.two, told.nested, told.reader, len], default=_stable))
"""
TASK = """
task: filtered
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}, cache_dir: {cache}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{reply}}}}"
process_docs: !function told.some
filter_list: [{{name: own, filter: [{{function: custom, filter_fn: !function told.two}}]}}]
fewshot_config: {{sampler: first_n, process_docs: !function told.some}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
FIND = """
import sys
from pathlib import Path
from pinpoint.evaluate import find_tasks
print(find_tasks("filtered", Path(sys.argv[1])).digests["filtered"])
"""


def elsewhere(program: str, folder: Path) -> str:
    """What a program in a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return done.stdout.splitlines()[-1]


def stable_here(file: Path) -> str:
    spec = importlib.util.spec_from_file_location("told", file)
    assert spec is not None and spec.loader is not None
    told = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(told)
    return json.dumps([told.kept, told.two, told.nested, told.reader, len], default=_stable)


def test_functions_are_told_by_their_source_in_every_process(tmp_path: Path) -> None:
    file = tmp_path / "told.py"
    file.write_text(FUNCTIONS, encoding="utf-8")
    found = stable_here(file)
    assert found == stable_here(file) == elsewhere(DIGEST, tmp_path)
    kept, two, nested, reader, builtin = json.loads(found)
    assert kept.startswith("def kept(replies, docs, most=1):") and two == [kept, [], {"most": 2}]
    assert nested == [kept, [[]], {"docs": kept}] and (reader, builtin) == ("told.Reader", "builtins.len")
    for old, new in {"most=2": "most=3", "reply[:most]": "reply"}.items():
        other = tmp_path / f"other{len(new)}.py"
        other.write_text(FUNCTIONS.replace(old, new), encoding="utf-8")
        assert stable_here(other) != found, old


def test_what_python_writes_beside_a_task_s_functions_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(FUNCTIONS, encoding="utf-8")
    for folder in (tmp_path / "__pycache__", tmp_path / "inner" / "__pycache__"):
        folder.mkdir(parents=True)
        (folder / "told.cpython-311.pyc").write_bytes(b"0")
    (tmp_path / "inner" / "task.yaml").write_text("task: one\n", encoding="utf-8")
    assert _files(tmp_path).keys() == {"told.py", "inner/task.yaml"}


def test_a_task_with_functions_has_one_digest(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    folder = tmp_path / "tasks"
    folder.mkdir()
    (tmp_path / "data.jsonl").write_text('{"prompt": "a", "reply": "b"}\n', encoding="utf-8")
    (folder / "told.py").write_text(FUNCTIONS, encoding="utf-8")
    text = TASK.format(data=tmp_path / "data.jsonl", cache=tmp_path / "cache")
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    first = elsewhere(FIND, folder)
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__" / "told.cpython-39.pyc").write_bytes(b"0")
    assert find_tasks("filtered", folder).digests["filtered"] == first
    (folder / "told.py").write_text(FUNCTIONS.replace("most=2", "most=3"), encoding="utf-8")
    assert elsewhere(FIND, folder) != first
