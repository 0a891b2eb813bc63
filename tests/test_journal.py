"""Partial results: a line that was cut short is as if it had never been written."""

from pathlib import Path

import pytest

from pinpoint.artifacts import Journal, Workspace


def test_what_was_put_is_there_in_the_next_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.put("a", ["é\n", "x"])
    journal.put("b", [])
    again = Journal(tmp_path / "j.jsonl")
    assert (again.get("a"), again.get("b"), again.get("c")) == (["é\n", "x"], [], None)


def test_cut_at_any_byte_it_keeps_whole_lines_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    for key in "abc":
        journal.put(key, [key * 5])
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = Journal(path)
        # A line without its newline is whole if its checksum says so.
        expected = sum(end <= cut + 1 for end in ends)
        assert [kept.get(key) is not None for key in "abc"] == [i < expected for i in range(3)], cut
        kept.put("d", ["d"])
        again = Journal(path)
        assert again.get("d") == ["d"]
        assert sum(again.get(key) is not None for key in "abc") == expected


def test_a_changed_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path).put("a", ["right"])
    path.write_bytes(path.read_bytes().replace(b"right", b"wrong"))
    assert Journal(path).get("a") is None


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    with space.folder("merged") as folder:
        (folder / "one").write_text("1")
        assert not space.path("merged").exists()
    assert (space.path("merged") / "one").read_text() == "1"
    with pytest.raises(RuntimeError), space.folder("merged") as folder:
        (folder / "two").write_text("2")
        raise RuntimeError
    assert [path.name for path in space.path("merged").iterdir()] == ["one"]
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]
    with space.folder("merged") as folder:
        (folder / "two").write_text("2")
    assert [path.name for path in space.path("merged").iterdir()] == ["two"]


def test_digests_cover_every_file_below(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_text("1")
    before = space.digests_of(["a", "none"])
    assert list(before) == ["a/b/x"]
    (tmp_path / "a" / "b" / "x").write_text("2")
    assert space.digests_of(["a", "none"]) != before
