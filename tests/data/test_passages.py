"""Passages of plain text, from every kind of file, and what is refused."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinpoint.data import Excerpt, read_passages
from pinpoint.errors import InputError

TEXTS = ["One day, it rained.\nIt rained for long.", "The second passage, “quoted”."]


def test_a_text_file_is_parted_by_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "web.txt"
    path.write_text(f"\n\n{TEXTS[0]}\n \t\n\n{TEXTS[1]}", encoding="utf-8")
    assert read_passages(path) == [Excerpt("web.txt:3", TEXTS[0]), Excerpt("web.txt:7", TEXTS[1])]
    path.write_bytes(b"\xef\xbb\xbfA.\r\nB.\r\n\r\nC.\r\n")
    assert read_passages(path) == [Excerpt("web.txt:1", "A.\nB."), Excerpt("web.txt:4", "C.")]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_other_files_have_a_column_of_texts_and_empty_ones_are_passed_over(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"web{suffix}"
    rows = [{"text": TEXTS[0], "url": "x"}, {"text": " \n", "url": "y"}, {"text": f"{TEXTS[1]}\n", "url": "z"}]
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".csv":
        path.write_text("".join(f'"{text}",{url}\n' for text, url in [("text", "url"), *(r.values() for r in rows)]))
    else:
        whole = json.dumps(rows) if suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(whole)
    found = read_passages(path)
    assert [one.text for one in found] == TEXTS
    assert len({one.id for one in found}) == 2 and all(one.id.startswith(f"web{suffix}:") for one in found)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "\n \n", r"a\.txt: the file has no passages"),
        ("a.txt", b"\xff\xfe\x00", r"a\.txt: not UTF-8"),
        ("a.jsonl", "", r"a\.jsonl: the file has no passages"),
        ("a.jsonl", '{"text": "x y"}\n{"text"', r"a\.jsonl:2: not JSON"),
        ("a.jsonl", '{"text": "x y"}\n[1]', r"a\.jsonl:2: is no JSON object"),
        (
            "a.jsonl",
            '{"content": "x", "url": "y"}',
            r"a\.jsonl:1: has no 'text' that is text\. It has 'content', 'url'",
        ),
        ("a.jsonl", '{"text": "x \\ud800"}', r"a\.jsonl:1: holds half a character"),
        ("a.jsonl", '{"text": null}', r"a\.jsonl:1: has no 'text' that is text"),
        ("a.csv", "body\nx\n", r"a\.csv:2: has no 'text' that is text\. It has 'body'"),
        ("a.parquet", "PAR", r"a\.parquet: not Parquet"),
        ("a.md", "x", r"a\.md: a file of kind '\.md'\. Give one of \.txt, \.jsonl, \.json, \.csv, \.parquet"),
    ],
)
def test_what_is_no_file_of_passages_is_refused(name: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_passages(path)
