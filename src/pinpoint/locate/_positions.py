"""At which positions heads take what they put out on the counterfactual."""

from collections.abc import Sequence

from pinpoint.data import EncodedPair
from pinpoint.errors import InputError
from pinpoint.measure import shared_lengths


def patched_lengths(pairs: Sequence[EncodedPair], positions: str) -> list[int]:
    """How many tokens at the end of each reference are patched; their counterparts end the counterfactual.

    Both prompts are aligned at their last token. Under "last" it is that token alone. Under "suffix" it is every
    token of the reference from the first that differs on; where the counterfactual has fewer tokens after what they
    share, the first of them take values from shared ones, which must be there. Under "all" the prompts must be equally
    long: what comes before their first difference is alike on both, since attention looks back only, so exchanging it
    exchanges nothing, and what is run is the suffix.

    Raises:
        InputError: a pair has no such counterpart; names the pair.
    """
    if positions == "last":
        return [1] * len(pairs)
    lengths = []
    for number, (pair, shared) in enumerate(zip(pairs, shared_lengths(pairs), strict=True)):
        ours, theirs = len(pair.reference), len(pair.counterfactual)
        if positions == "all" and ours != theirs:
            raise InputError(
                f"positions 'all' needs prompts of equal length; the reference has {ours} tokens, the counterfactual "
                f"{theirs}.",
                where=f"pair {number}",
                mend="Use positions 'suffix', which aligns them at their ends, or 'last'.",
            )
        if ours - shared > theirs:
            raise InputError(
                f"the reference goes on for {ours - shared} tokens after what the prompts share, the counterfactual "
                f"has {theirs} in all: some positions have no counterpart.",
                where=f"pair {number}",
                mend="Use positions 'last', or a counterfactual of like length.",
            )
        lengths.append(ours - shared)
    return lengths
