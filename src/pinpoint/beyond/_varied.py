"""Sets that ask the same thing alone and with something said beside it: rows become items, replies are told apart."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pinpoint.beyond._protocol import Found, FurtherRow, asked
from pinpoint.data import numbered_rows, same_text
from pinpoint.errors import InputError
from pinpoint.measure import Replier

ALONE = "alone"


class Variant(NamedTuple):
    """What a row holds: which of an item's prompts it is (`ALONE` for the plain one), and what it asks about."""

    kind: str
    prompt: str
    text: str
    answers: tuple[str, ...] = ()


def read_variants(path: str, name: str, noun: str, file: str, read: Callable[[dict[str, Any]], Variant]) -> Found:
    """Rows about the same text become one item; an item needs the plain prompt and another.

    Args:
        path: the file, or a folder that it lies in.
        name: the set's, for ids.
        noun: what the text is, for messages.
        file: the published one, for messages.
        read: makes a variant of a row; may raise what a row of another form makes it raise.

    Raises:
        InputError: no item can be made.
    """
    if Path(path).is_dir():
        path = str(Path(path) / file)
    items, unusable = dict[str, FurtherRow](), list[dict[str, Any]]()
    for number, row in numbered_rows(Path(path)):
        place = f"{path}:{number}"
        try:
            if isinstance(row, ValueError):
                raise row
            found = read(row)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            unusable.append({"line": place, "reason": f"lacks or misuses {error}"})
            continue
        except ValueError as error:
            unusable.append({"line": place, "reason": str(error)})
            continue
        key = same_text(found.text)
        one = items.setdefault(key, FurtherRow(f"{name}:{number}", key, place, found.text, {}, found.answers))
        if one.prompts.setdefault(found.kind, found.prompt) != found.prompt:
            unusable.append({"line": place, "reason": f"a second prompt of kind {found.kind} for one {noun}"})
    whole = [one for one in items.values() if ALONE in one.prompts and len(one.prompts) > 1]
    reason = f"its {noun} stands alone or never alone: there is nothing to compare"
    unusable += [{"line": one.place, "reason": reason} for one in items.values() if one not in whole]
    if not whole:
        raise InputError(
            f"no {noun} can be used ({unusable[0]['reason'] if unusable else 'it is empty'}).",
            where=path,
            mend=f"Give SycophancyEval's {file}.",
        )
    return Found(whole, unusable)


def replies_to_variants(chat: Replier, items: Sequence[FurtherRow]) -> list[dict[str, str]]:
    """The reply to each prompt of each item, by its kind."""
    talks = [(i, kind, prompt) for i, one in enumerate(items) for kind, prompt in one.prompts.items()]
    said: list[dict[str, str]] = [{} for _ in items]
    for (i, kind, _), reply in zip(talks, chat.replies([asked(prompt) for *_, prompt in talks]), strict=True):
        said[i][kind] = reply
    return said
