"""Question files with columns of their own names."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinpoint.config import resolve
from pinpoint.data import deal, read_columns
from pinpoint.data._published import BadRow, Published
from pinpoint.errors import ConfigError, InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run

ROWS: list[dict[str, Any]] = [
    {"q": "What is the capital of Peru?", "a": "Lima", "no": "Cusco", "also": ["Ciudad de los Reyes"], "topic": "x"},
    {"q": "How many legs has a spider?", "a": "8", "no": "", "also": [], "topic": "y"},
]
COLUMNS = {"question": "q", "correct": "a", "wrong": "no", "aliases": "also"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows([row | {"also": "|".join(row["also"])} if "also" in row else row for row in rows])
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_every_kind_of_file_gives_the_same_questions(suffix: str, tmp_path: Path) -> None:
    found = read_columns(write(tmp_path / f"mine{suffix}", ROWS), COLUMNS)
    assert all(isinstance(one, Published) for one in found)
    peru, spider = (one._replace(line="") for one in found if isinstance(one, Published))
    aliases = ("Ciudad de los Reyes",)
    assert peru == Published("mine", "", "What is the capital of Peru?", {}, "Lima", "Cusco", aliases)
    assert spider == Published("mine", "", "How many legs has a spider?", {}, "8")
    assert {one.wrong for one in deal(found, 0).questions} == {"Cusco", "Lima"}


def test_a_column_of_explanations_comes_along(tmp_path: Path) -> None:
    rows = [row | {"why": why} for row, why in zip(ROWS, ("Lima has been the capital since 1821. ", None), strict=True)]
    found = read_columns(write(tmp_path / "mine.jsonl", rows), COLUMNS | {"explanation": "why"})
    expected = {"Lima has been the capital since 1821.", ""}
    assert {one.explanation for one in found if isinstance(one, Published)} == expected
    assert {one.explanation for one in deal(found, 0).questions} == expected
    [bad] = read_columns(write(tmp_path / "bad.jsonl", [ROWS[0] | {"why": ["a"]}]), COLUMNS | {"explanation": "why"})
    assert bad == BadRow("bad.jsonl:1", "['a'] is not text")


def test_the_right_option_is_given_by_letter_or_text(tmp_path: Path) -> None:
    rows = [
        {"q": "Which is a fruit?", "a": "pear", "of": ["stone", "pear", "chair"]},
        {"q": "Which is a bird?", "a": "C", "of": '["cat", "dog", "wren"]'},
        {"q": "Which is blue?", "a": "milk", "of": ["sky", "blood"]},
        {"q": "Which is red?", "a": ["blood"], "of": ["sky", "blood"]},
        {"q": "Which is 7?", "a": 7, "of": [7, 8.5]},
    ]
    found = read_columns(write(tmp_path / "mine.jsonl", rows), {"question": "q", "correct": "a", "options": "of"})
    assert [one.correct for one in found if isinstance(one, Published)] == ["B", "C", "A"]
    bad = [one for one in found if isinstance(one, BadRow)]
    assert [one.line for one in bad] == ["mine.jsonl:3", "mine.jsonl:4"]
    assert "'milk' is not among the options" in bad[0].reason and "is not text" in bad[1].reason


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", ROWS)
    message = r"mine.csv: there is no column 'query' \(data.columns.question\). The file has 'q', 'a', 'no', 'also'"
    with pytest.raises(InputError, match=message):
        read_columns(path, {"question": "query", "correct": "a"})
    with pytest.raises(InputError, match="a file of kind '.txt' has no columns"):
        read_columns(tmp_path / "mine.txt", COLUMNS)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="not Parquet"):
        read_columns(tmp_path / "bad.parquet", COLUMNS)
    (tmp_path / "bad.jsonl").write_text("{\n")
    with pytest.raises(InputError, match=r"bad.jsonl:1: not JSON"):
        read_columns(tmp_path / "bad.jsonl", COLUMNS)


def test_the_line_of_a_row_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text('q,a\nWhat?,\n\n"Who\nis it?",Ann\nWhere?,\n')
    found = read_columns(path, {"question": "q", "correct": "a"})
    assert [one.line for one in found] == ["mine.csv:2", "mine.csv:3", "mine.csv:6"]


def test_a_run_reads_them_by_its_settings(tmp_path: Path) -> None:
    rows = [{"q": f"What is {i} + {i}?", "a": 2 * i} for i in range(40)]
    path = write(tmp_path / "mine.parquet", rows)
    home = str(shipped()["yesman"])
    data: dict[str, Any] = {"questions": str(path), "columns": {"question": "q", "correct": "a"}}
    inputs = Run(resolve(home, None, {"data": data}), tmp_path / "run").inputs
    splits = ("locate", "train", "validation", "test")
    assert sum(len(inputs.questions(split)) for split in splits) == 40  # type: ignore[arg-type]
    data["columns"] = {"question": "q", "corect": "a"}
    with pytest.raises(ConfigError, match=r"data.columns.correct: .*unknown setting 'data.columns.corect'"):
        resolve(home, None, {"data": data})


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_fields_that_hold_nothing_are_those_of_a_row_without_them(nothing: float | None, tmp_path: Path) -> None:
    row = {"q": "Capital of Peru?", "a": "Lima", "no": nothing, "also": nothing, "why": nothing, "of": nothing}
    columns = COLUMNS | {"explanation": "why", "options": "of"}
    [found] = read_columns(write(tmp_path / "mine.jsonl", [row]), columns)
    assert found == Published("mine", "mine.jsonl:1", "Capital of Peru?", {}, "Lima")
    [some] = read_columns(write(tmp_path / "some.jsonl", [row | {"also": ["Ciudad", nothing, ""]}]), columns)
    assert isinstance(some, Published) and some.aliases == ("Ciudad",)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (list(map(str, range(27))), "27 options are more than there are letters"),
        ("stone||pear", "an option holds nothing"),
        (["stone", None], "an option holds nothing"),
    ],
)
def test_no_option_is_left_out_or_empty(options: list[str] | str, reason: str, tmp_path: Path) -> None:
    rows = [{"q": "Which is a fruit?", "a": "A", "of": options}]
    found = read_columns(write(tmp_path / "mine.jsonl", rows), {"question": "q", "correct": "a", "options": "of"})
    assert found == [BadRow("mine.jsonl:1", reason)]
