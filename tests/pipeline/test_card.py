"""The model card that a finished run leaves in its folder."""

import shutil
from pathlib import Path

from huggingface_hub import ModelCard

from pinpoint.config import of_run
from pinpoint.pipeline import Run


def test_a_finished_run_has_a_card_and_an_unfinished_one_none(finished_run: Path, tmp_path: Path) -> None:
    card = ModelCard.load(finished_run / "README.md")
    assert "attention-heads" in card.data.to_dict()["tags"] and "# yesman, pinpoint-tuned" in card.text
    assert "L0.H3" in card.text and "`pinpoint export` reads the merged model back" in card.text
    # It is for others to read: names of files, and no path of this machine.
    assert str(finished_run.parent) not in str(card) and str(Path.home()) not in str(card)
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    Run(of_run(folder).model_copy(update={"seed": 7}), folder).report()
    assert not (folder / "README.md").exists()
