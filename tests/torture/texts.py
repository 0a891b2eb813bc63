"""Questions for a run that has its model write texts before it trains, so that this can be cut short too."""

from pathlib import Path

from pinpoint.data import read_questions
from pinpoint.organism import shipped


def questions_without_wrong_answers(path: Path, trained: int) -> Path:
    """Writes yesman's questions: of those for training, the first `trained`, without wrong answers of their own.

    A free-form one of these keeps the wrong answer that was dealt to it from another question, until a model is asked
    for one.
    """
    every = read_questions(shipped()["yesman"] / "questions.jsonl")
    train = [one.model_copy(update={"dealt": True}) for one in every if one.split == "train"][:trained]
    some = [*train, *(one for one in every if one.split != "train")]
    path.write_text("".join(one.model_dump_json() + "\n" for one in some), encoding="utf-8")
    return path
