from pathlib import Path

import pytest

from pinpoint.pipeline._fingerprint import fingerprint

HEAD = 2**20  # bytes that a head of a 7B model owns of a matrix in half precision


@pytest.mark.parametrize("place", [0, 3 * 2**20 + 17, 299 * 2**20 + 5000])
def test_a_model_in_which_a_single_head_is_another_is_told_from_it(place: int, tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    with weights.open("wb") as file:
        file.truncate(300 * 2**20)
    before = fingerprint(str(tmp_path))
    with weights.open("r+b") as file:
        file.seek(min(place, 299 * 2**20))
        file.write(b"x" * HEAD)
    assert fingerprint(str(tmp_path)) != before


def test_a_model_on_the_hub_is_known_by_its_name() -> None:
    assert fingerprint("some/model") == "some/model"
