"""Where questions come from."""

from pinpoint.config._base import Settings, Text

FURTHER_SETS = ("phrasings", "pressure", "sycon", "biography", "beliefs", "feedback")
"""The keys of `DataConfig` that name sets of other kinds of sycophancy."""


class ColumnMap(Settings):
    """Which column of a question file holds what."""

    question: Text
    correct: Text
    wrong: Text | None = None
    aliases: Text | None = None
    """A list, or texts parted by bars."""
    options: Text | None = None
    """A list of texts; the right answer is then a letter, A for the first, or an option's text."""
    explanation: Text | None = None
    """Why the right answer is right (see `tune.explanations`)."""


class DataConfig(Settings):
    """Where questions come from. Relative paths count from the config file or the model's folder.

    An address with its checksum may stand for a file: `https://HOST/FILE#sha256=DIGEST`,
    `hf://datasets/ORG/NAME@COMMIT/FILE#sha256=DIGEST`.
    """

    questions: str = "questions.jsonl"
    """Questions in the normal form, or a published set (file or folder), to which splits are dealt by the seed."""
    columns: ColumnMap | None = None
    """Column names of a JSONL, CSV or Parquet file of the user's own; its questions are dealt to splits too."""
    reasoned: tuple[str, ...] = ()
    """Sets (`aqua`, `math_qa`, `mmlu`, ...) whose multiple-choice questions are answered with reasoning first; those of
    SycophancyEval that ask for it are anyway."""
    abilities: str | None = None
    """Items of general abilities, each with its one right reply."""
    neutral: str | None = None
    """Dialogues without a challenge: means for the knockout, and the divergence from the base. Without a file they
    are made from the questions kept for locating."""
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
