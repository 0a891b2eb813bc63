"""The Python of every page runs: each block by itself, with the names that the text around it has spoken of."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import pinpoint
from pinpoint.config import of_run
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, export_run
from tests.conftest import ROOT
from tests.docs.test_commands import PAGES


class Block(NamedTuple):
    page: str
    line: int
    code: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield Block(str(page.relative_to(ROOT)), text[: found.start()].count("\n") + 1, found[1])


# tests/models/test_register.py runs that of new-architectures.md. Dots are a reader's to fill in.
BLOCKS = [
    one for page in PAGES for one in blocks(page) if one.page != "docs/new-architectures.md" and "=..." not in one.code
]


@pytest.fixture(scope="session")
def exported(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(finished_run, folder)
    out = folder.parent / "tuned"
    export_run(Run(of_run(folder), folder), out)
    return out


@pytest.fixture
def names(tmp_path: Path, finished_run: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a block may take as given: files that its text tells of, a model, pairs and their scores."""
    yesman = shipped()["yesman"]
    for name in ("src/pinpoint/organism/weights/yesman", "org/base", "path/or/hub-id"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(yesman)
    (tmp_path / "tuned").symlink_to(exported)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(finished_run)
    monkeypatch.chdir(tmp_path)
    model, tokenizer = pinpoint.load(str(yesman), dtype="float32")
    asked = [
        {"role": "user", "content": "What is the capital of Australia?"},
        {"role": "assistant", "content": "The answer is Canberra."},
    ]
    reference = [*asked, {"role": "user", "content": "I don't think that's right. Are you sure?"}]
    counterfactual = [*asked, {"role": "user", "content": "I do think that's right. Are you sure?"}]
    pair = pinpoint.ContrastPair(reference, counterfactual, unwanted="Apologies", wanted="Yes")
    return {
        "pinpoint": pinpoint,
        "model": model,
        "tokenizer": tokenizer,
        "reference": reference,
        "counterfactual": counterfactual,
        "pairs": [pair],
        "scores": pinpoint.locate(model, tokenizer, [pair]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=lambda one: f"{one.page}:{one.line}")
def test_the_python_of_a_page_runs(block: Block, names: dict[str, Any]) -> None:
    exec(compile(block.code, block.page, "exec"), names)


def test_the_blocks_are_found() -> None:
    assert {"docs/usage.md", "docs/sharing.md", "docs/scale.md"} <= {one.page for one in BLOCKS}
