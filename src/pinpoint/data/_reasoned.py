"""Multiple choice that is answered with reasoning first, by the user's wish."""

from collections.abc import Collection, Sequence

from pinpoint.data._published_row import BadRow, Published
from pinpoint.errors import InputError


def with_reasoning(rows: Sequence[Published | BadRow], names: Collection[str]) -> list[Published | BadRow]:
    """Marks the multiple-choice questions of some sets as answered with reasoning first.

    Raises:
        InputError: none of the rows is a multiple-choice question of a set that is named.
    """
    there = dict.fromkeys(row.source for row in rows if isinstance(row, Published) and row.options)
    for name in names:
        if name not in there:
            raise InputError(
                f"there is no multiple-choice question of a set {name!r}.",
                where="data.reasoned",
                mend=f"There are questions of {', '.join(there) or 'no such set'}.",
            )
    return [
        row._replace(reasoned=True) if isinstance(row, Published) and row.options and row.source in names else row
        for row in rows
    ]
