"""Divergence on passages and over greedy continuations through the evaluate stage: files, summary, table, page."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from pinpoint.config import of_run, resolve
from pinpoint.data import read_passages
from pinpoint.measure import SHIFTS, passage_rows
from pinpoint.pipeline import Run, parse_gates
from pinpoint.pipeline._evaluation import read_transcripts
from pinpoint.pipeline._plan import plan
from pinpoint.pipeline._record import inputs_of, record_of
from pinpoint.report import method_rows

WEB = "Canberra is the capital of Australia.\nIt is not large.\n\nHorses drink water, and people milk.\n\nCopy this."
MORE = [
    f"A horse of {years} years is {word}." for years, word in enumerate(("young", "old", "rare", "here", "there"), 2)
]


@pytest.fixture(scope="module")
def measured(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run, evaluated again on passages and what comes after."""
    folder = tmp_path_factory.mktemp("shifts") / "run"
    shutil.copytree(finished_run, folder)
    path = folder.parent / "web.txt"
    path.write_text("\n\n".join([WEB, *MORE]))
    settings = of_run(folder).model_dump(mode="json")
    settings["data"]["passages"] = str(path)
    settings["evaluate"] |= {"passage_tokens": 8, "greedy_tokens": 5}
    run = Run(resolve(settings.pop("model"), None, settings), folder)
    assert run.is_done("tune") and not run.is_done("evaluate")
    run.do("evaluate")
    return run


def test_they_are_measured_against_the_base_and_told_with_their_intervals(measured: Run) -> None:
    methods = measured.workspace.read_json("summary.json")["methods"]
    counts = {"kl_passages": 8, "kl_greedy": 4, "kl_passages_greedy": 8}
    assert set(counts) == set(SHIFTS)
    for name, n in counts.items():
        assert methods["base"][name]["value"] == 0 and methods["base"][name]["n"] == n
        found = methods["pinpoint"][name]
        assert found["n"] == n and found["value"] > 0
        assert found["low"] < found["value"] < found["high"]
        # Student's of four dialogues is symmetric, and knows nothing of what a KL can be.
        middle = (found["low"] + found["high"]) / 2
        assert middle == pytest.approx(found["value"]) if n == 4 else found["low"] > 0
    rows = {row.label: row.cells for row in method_rows({"methods": methods})}
    assert rows[SHIFTS["kl_passages"]]["pinpoint"].count("[") == 1
    [gate] = parse_gates("kl_passages<0", measured.inputs.behaviour.measures)
    assert "kl_passages is" in str(gate.missed(methods["pinpoint"]))


def test_the_merged_model_is_what_is_measured(measured: Run) -> None:
    passages = read_passages(str(measured.config.data.passages))
    tuned = measured.load(measured.workspace.path("merged")).model
    written = measured.workspace.sub("evaluate").sub("pinpoint").read_jsonl("kl_passages.jsonl")
    assert [row["id"] for row in written] == [one.id for one in passages]
    assert [row["id"] for row in written][:4] == ["web.txt:1", "web.txt:4", "web.txt:6", "web.txt:8"]
    for passage, row in zip(passage_rows(measured.tokenizer, passages, 8), written, strict=True):
        with torch.no_grad():
            p, q = (model(torch.tensor([passage.ids])).logits[0, :-1].float() for model in (measured.model, tuned))
        p, q = p.log_softmax(dim=-1), q.log_softmax(dim=-1)
        assert row["kl"] == pytest.approx(float((p.exp() * (p - q)).sum(dim=-1).mean()), rel=1e-3, abs=1e-7)


def test_they_are_read_back_recorded_and_shown(measured: Run) -> None:
    kept = read_transcripts(measured.workspace.sub("evaluate").sub("pinpoint"), measured.inputs.behaviour)
    assert set(kept.shifts) == set(SHIFTS) and len(kept.shifts["kl_greedy"].kl) == 4
    assert inputs_of(measured.config)["data.passages"].files
    assert record_of(measured).metrics["pinpoint"]["kl_passages"] is not None
    page = measured.report().read_text(encoding="utf-8")
    for text in (
        *SHIFTS.values(),
        "8 tokens of it at the most",
        "averaged over 5 tokens",
        "KL(base&nbsp;‖&nbsp;tuned)",
    ):
        assert text in page, text
    work = {one.stage: one.work for one in plan(measured, measured.tokenizer).stages}
    assert ", 8 passages for each model" in work["evaluate"]


def test_an_evaluation_without_them_takes_their_files_away(measured: Run, finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(measured.workspace.root, folder)
    before = json.loads((finished_run / "summary.json").read_text())["methods"]
    Run(of_run(finished_run), folder).do("evaluate")
    assert not list(folder.glob("evaluate/*/kl_*.jsonl"))
    after = json.loads((folder / "summary.json").read_text())["methods"]
    assert after["pinpoint"]["kl"] == before["pinpoint"]["kl"] and not set(SHIFTS) & set(after["pinpoint"])
