"""How many heads are tuned, where knocking them out decides it."""

from pathlib import Path

import pytest

from pinpoint.config import resolve
from pinpoint.errors import ArtifactError
from pinpoint.heads import Head
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._choice import chosen_heads

RANKED = [Head(0, 3), Head(0, 2), Head(6, 0), Head(5, 2)]


def verified(folder: Path, monkeypatch: pytest.MonkeyPatch, auto: int | None) -> Run:
    """A run of `auto`, and of three heads at most, whose knockouts chose so many."""
    settings = {"tune": {"heads": "auto", "max_heads": 3}}
    run = Run(resolve(str(shipped()["yesman"]), None, settings), folder)
    run.workspace.sub("verify").write_json("verify.json", {"auto": auto})
    monkeypatch.setattr(Run, "ranking", lambda self: RANKED)
    return run


@pytest.mark.parametrize(("auto", "tuned"), [(2, 2), (3, 3), (4, 3)])
def test_auto_is_what_knockouts_say_and_no_more_than_the_settings_allow(
    auto: int, tuned: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_heads(verified(tmp_path, monkeypatch, auto)) == RANKED[:tuned]


def test_auto_without_an_effect_of_knockouts_asks_for_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ArtifactError, match=r"^verify/verify\.json: knocking heads out .* cannot choose .* with --heads\.$"
    ):
        chosen_heads(verified(tmp_path, monkeypatch, None))
