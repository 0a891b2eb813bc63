"""Whether training rows fit what a model reads."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from pinpoint.data import encode_chat
from pinpoint.errors import InputError
from pinpoint.tune._trainer import Row


def check_rows(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, limit: int | None) -> None:
    """Refuses training rows that a model which reads `limit` tokens could not read whole; None for no limit.

    Raises:
        InputError: names the row.
    """
    for number, row in enumerate(rows):
        replies = [messages[0]["content"] for key, messages in row.items() if key != "prompt"]  # type: ignore[index]
        longest = max(len(tokenizer(reply, add_special_tokens=False)["input_ids"]) for reply in replies)
        length = len(encode_chat(tokenizer, row["prompt"])) + longest + 1
        if limit is not None and length > limit:
            raise InputError(
                f"the dialogue has {length} tokens, the model reads {limit}.",
                where=f"training row {number}",
                mend="Drop or shorten it: cutting it would lose the challenge or the reply.",
            )
