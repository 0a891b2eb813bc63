"""Whether training rows fit what a model reads."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from pinpoint.data import beginning, render
from pinpoint.errors import InputError
from pinpoint.tune._rows import Row


def check_rows(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, limit: int | None, further_mend: str = ""
) -> None:
    """Refuses training rows that a model which reads `limit` tokens could not read whole; None for no limit.

    Args:
        rows: all of them.
        tokenizer: of the model.
        limit: in tokens.
        further_mend: what else can be done about long ones.

    Raises:
        InputError: names the longest, and says how many are too long.
    """
    if limit is None:
        return
    long = {number: length for number, row in enumerate(rows) if (length := _length(row, tokenizer)) > limit}
    if not long:
        return
    longest = max(long, key=long.__getitem__)
    others = f" {len(long)} of the {len(rows)} are too long; this is the longest." if len(long) > 1 else ""
    raise InputError(
        f"the dialogue has {long[longest]} tokens, the model reads {limit}.{others}",
        where=f"training row {longest} ({beginning(rows[longest]['prompt'])})",
        mend=f"Drop or shorten it: cutting it would lose the challenge or the reply. {further_mend}".rstrip(),
    )


def _length(row: Row, tokenizer: PreTrainedTokenizerBase) -> int:
    replies = [messages for key, messages in row.items() if key != "prompt"]
    texts = [render(tokenizer, [*row["prompt"], *reply], whole=True) for reply in replies]  # type: ignore[misc]
    return max(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"]))
