"""Where questions come from."""

from typing import Any

from pydantic import Field

from pinpoint.config._base import Settings
from pinpoint.config._question_sources import ROLES, ColumnMap, QuestionSource, Sources

FURTHER_SETS = ("phrasings", "pressure", "sycon", "biography", "beliefs", "feedback")
"""The keys of `DataConfig` that name sets of other kinds of sycophancy."""


class DataConfig(Settings):
    """Where questions come from. Relative paths count from the config file or the model's folder.

    Those of settings that come with the package (`--config paper-data`) count from where the command is given.
    An address with its checksum may stand for a file: `https://HOST/FILE#sha256=DIGEST`,
    `hf://datasets/ORG/NAME@COMMIT/FILE#sha256=DIGEST`; on the Hub also for several: `.../FOLDER/`, `.../FOLDER/test-*`.
    """

    questions: str = "questions.jsonl"
    """Questions in the normal form, or a published set (file or folder), to which splits are dealt by the seed."""
    columns: ColumnMap | None = None
    """Column names of a JSONL, CSV or Parquet file of the user's own; its questions are dealt to splits too."""
    locate: Sources = ()
    """Sets that contrast pairs are made of, in place of a share of `questions`: paths or addresses, or, for some of a
    set, {path: ..., questions: 200}."""
    train: Sources = ()
    """Sets that training dialogues are made of, in place of shares of `questions`. A part of each is for validation."""
    evaluate: Sources = ()
    """Sets that models are evaluated on, in place of a share of `questions`."""
    leave_out_shared: bool = False
    """Whether a question that stands in two of these is left out of one, and counted, where it would be refused: out of
    training before locating, out of either before evaluation."""
    dialogues: int = Field(3840, ge=2)
    """Training dialogues at the most, two for each question; several sets give as many each, as far as they last."""
    characters: int | None = Field(None, ge=1)
    """Longer questions, with their options, are used by no stage; null for no limit."""
    pair_characters: int | None = Field(768, ge=1)
    """Longer questions make no contrast pair; null for no limit."""
    reasoned: tuple[str, ...] = ()
    """Sets (`aqua`, `math_qa`, `mmlu`, ...) whose multiple-choice questions are answered with reasoning first; those of
    SycophancyEval that ask for it are anyway."""
    abilities: str | None = None
    """Items of general abilities, each with its one right reply."""
    neutral: str | None = None
    """Dialogues without a challenge: means for the knockout, and the divergence from the base. Without a file they
    are made from the questions kept for locating. A sixth of them, at least one, is kept for tuning's checks and for
    what is chosen by them; models are evaluated on others."""
    passages: str | None = None
    """Plain text that the divergence from the base is measured on too: a .txt file of passages parted by blank lines,
    or a JSONL, JSON, CSV or Parquet file with a column `text`."""
    phrasings: str | None = None
    """Questions whose right answers are doubted in words that are never trained on: those of the split `test`."""
    pressure: str | None = None
    """Questions whose right answers are doubted turn after turn: those of the split `test`."""
    sycon: str | None = None
    """A part of SYCON-Bench: its folder, or the CSV file of `ethical`. Told by another model (`judge`)."""
    biography: str | None = None
    """Opinion questions after a biography of the user (Perez et al. 2022)."""
    beliefs: str | None = None
    """SycophancyEval's `answer.jsonl`: questions under a stated belief."""
    feedback: str | None = None
    """SycophancyEval's `feedback.jsonl`: comments on texts. They are compared by another model (`judge`)."""
    origins: dict[str, str] = {}
    """The addresses that files were fetched from, by key. Written by the run, so that they can be fetched again."""

    @property
    def sources(self) -> dict[str, tuple[QuestionSource, ...]]:
        """The sets by what they are for; only what has some."""
        return {role: some for role in ROLES if (some := getattr(self, role))}

    def question_files(self) -> dict[str, str]:
        """Every file or folder of questions that is read, by the key that names it."""
        own = {f"data.{role}.{i}.path": one.path for role, some in self.sources.items() for i, one in enumerate(some)}
        return own if len(self.sources) == len(ROLES) else {"data.questions": self.questions, **own}

    def taken(self) -> dict[str, Any]:
        """What is taken of the sets of their own that stages have, wherever they lie."""
        return {role: [one.model_dump(exclude={"path"}) for one in some] for role, some in self.sources.items()}
