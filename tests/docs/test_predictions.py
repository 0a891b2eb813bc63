"""Figures of memory and time on the pages are those of the records, and the records are within what was promised."""

import json
import re
from typing import Any

import pytest

from bench.memory import STAGES, configs, predicted
from tests.conftest import ROOT
from tests.pipeline.test_inspect import PUBLISHED


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def cells(text: str, heading: str, first: str) -> list[list[str]]:
    """The rows of the table under a heading whose header begins so."""
    lines = text[text.index(heading) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |")) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return rows


MEMORY = record("memory")["rows"]


def test_every_prediction_of_memory_is_within_a_fifth_of_what_was_measured() -> None:
    assert [(row["model"], row["stage"]) for row in MEMORY] == [(name, stage) for name in configs() for stage in STAGES]
    for row in MEMORY:
        assert row["ratio"] == row["predicted"] / row["measured"]
        assert 0.8 <= row["ratio"] <= 1.2, row


@pytest.mark.parametrize("row", MEMORY, ids=lambda row: f"{row['model']}, {row['stage']}")
def test_what_was_predicted_is_what_the_estimate_says_now(row: dict[str, Any]) -> None:
    assert predicted(row["model"], row["stage"], row["trained"]).bytes == row["predicted"]


def test_the_page_s_table_of_memory_is_the_record_s() -> None:
    shown = cells(page("scale.md"), "## Memory", "model (random weights)")
    assert [row[1:] for row in shown] == [
        [
            row["stage"],
            f"{row['measured'] / 2**20:.0f} MiB",
            f"{row['predicted'] / 2**20:.0f} MiB",
            f"{row['ratio']:.2f}",
        ]
        for row in MEMORY
    ]
    labels = [row[0] for row in shown if row[0]]
    assert [label.split(" layout")[0].lower().replace("-", "") for label in labels] == [*configs()]


def test_the_page_s_table_of_time_is_the_record_s() -> None:
    rows = record("times")["rows"]
    assert all(row["estimated"] == row["flops"] / row["rate"] for row in rows)
    assert all(row["ratio"] == row["seconds"] / row["estimated"] for row in rows)
    shown = cells(page("scale.md"), "## Time", "model")
    assert [row[1:] for row in shown] == [
        [row["stage"], f"{row['seconds']:.1f} s", f"{row['estimated']:.1f} s", f"{row['ratio']:.1f}"] for row in rows
    ]


def test_the_page_s_peak_of_streaming_is_the_record_s() -> None:
    found = record("streaming")
    disk, memory = (f"{found['peaks'][where] / 2**20:.0f} MiB" for where in ("disk", "memory"))
    text = " ".join(page("scale.md").split())
    assert f"peak memory {disk} above what the imports take, against {memory} in memory" in text
    assert f"a Llama of {found['weights'] / 2**20:.0f} MiB in float32" in text
    assert found["peaks"]["disk"] < found["weights"] / 3 and found["difference"] < 1e-5


def test_the_four_checks_are_the_record_s_and_take_less_than_ten_seconds() -> None:
    rows = record("check")["rows"]
    assert {row["model"]: row["parameters"] for row in rows} == {
        name: parameters for name, (_, parameters) in PUBLISHED.items()
    }
    assert all(row["seconds"] < 10 for row in rows)
    assert all(row["chat_template"] and "stand-in" in row["tokenizer"] for row in rows)
    shown = cells(page("usage.md"), "## What it would take", "config")
    assert shown == [
        [
            row["model"],
            f"{row['layers']} x {row['heads']} ({row['kv_heads']})",
            f"{row['parameters']:,}",
            "stand-in",
            f"{row['seconds']:.1f} s",
        ]
        for row in rows
    ]


def test_records_say_which_commit_and_machine_they_are_of() -> None:
    for name in ("memory", "times", "streaming", "check"):
        found = record(name)
        assert found["command"] == f"python bench/{name}.py" and re.search(r" on \d+ cores, ", found["machine"])
        commits = {row["commit"] for row in MEMORY} if name == "memory" else {found["commit"]}
        assert all(re.fullmatch(r"[0-9a-f]{7,}(-dirty)?", one) for one in commits)
