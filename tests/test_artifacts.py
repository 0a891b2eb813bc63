"""Artifacts are whole, and changed ones are refused."""

import json
from pathlib import Path

import pytest
import torch

from pinpoint.artifacts import Workspace
from pinpoint.errors import ArtifactError


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    space = Workspace(tmp_path).sub("locate")
    space.write_json("a.json", {"x": [1, 2.5, "ü"]})
    space.write_jsonl("b.jsonl", [{"y": 1}, {"y": 2}])
    space.write_tensors("c.safetensors", {"effects": torch.arange(6.0).view(2, 3).T}, {"metric": "m"})
    again = Workspace(tmp_path / "locate")
    assert again.read_json("a.json") == {"x": [1, 2.5, "ü"]}
    assert again.read_jsonl("b.jsonl") == [{"y": 1}, {"y": 2}]
    tensors, metadata = again.read_tensors("c.safetensors")
    assert torch.equal(tensors["effects"], torch.arange(6.0).view(2, 3).T)
    assert metadata == {"metric": "m"}


@pytest.mark.parametrize("part", range(0, 50, 7))
def test_a_file_cut_short_is_refused(tmp_path: Path, part: int) -> None:
    space = Workspace(tmp_path)
    path = space.write_tensors("c.safetensors", {"effects": torch.ones(20)}, {})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * part // 50])
    with pytest.raises(ArtifactError, match="does not match its recorded digest.*Remove it and run"):
        space.read_tensors("c.safetensors")


def test_a_missing_artifact_names_its_path_and_the_mend(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"locate.json: is missing. Run the stage that writes it first"):
        Workspace(tmp_path).read_json("locate.json")


def test_nan_never_reaches_a_json_artifact(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Workspace(tmp_path).write_json("a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_no_partial_file_is_left(tmp_path: Path) -> None:
    Workspace(tmp_path).write_text("page.html", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digests.json", "page.html"]
    assert list(json.loads((tmp_path / "digests.json").read_text())) == ["page.html"]


def test_digests_that_are_none_are_refused_and_say_what_to_do(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.write_json("a.json", {"x": 1})
    for text, reason in (("[]", "holds no digests"), ('{"a.json": 7}', "holds no digests"), ("{", "is not JSON")):
        (tmp_path / "digests.json").write_text(text)
        with pytest.raises(ArtifactError, match=rf"digests.json: {reason}\. Remove it, and have `pinpoint run`"):
            space.read_json("a.json")


def test_a_whole_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.write_text("a.json", "no JSON")
    with pytest.raises(ArtifactError, match=r"a\.json: is not JSON"):
        space.read_json("a.json")
    space.write_text("a.jsonl", '{"x": 1}\n' + "[" * 200_000)
    with pytest.raises(ArtifactError, match=r"a\.jsonl: is not JSON"):
        space.read_jsonl("a.jsonl")
    space.write_text("a.safetensors", "no tensors")
    with pytest.raises(ArtifactError, match=r"a\.safetensors: is no safetensors file"):
        space.read_tensors("a.safetensors")
