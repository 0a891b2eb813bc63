"""Where heads look, as the page holds it: for a few heads, as whole thousandths."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from pinpoint.artifacts import Workspace
from pinpoint.heads import Head

_ARTIFACT = "attention.safetensors"
_TOKENS = 400


class Looked(NamedTuple):
    """What the locate stage kept of attention from the last position.

    Attributes:
        shares: by layer and head, the share on what sets the reference apart; None where a layer has no heads.
        weights: on each token of one reference.
        tokens: its tokens as text.
        apart: where those lie that set it apart.
        pairs: how many pairs the shares are means over.
    """

    shares: list[list[float | None]]
    weights: Float[Tensor, "layer head position"]
    tokens: list[str]
    apart: tuple[int, int]
    pairs: int

    def embedded(self, heads: Sequence[Head]) -> dict[str, Any]:
        """What the page's script needs for some heads; of a long dialogue, the end."""
        skipped = max(0, len(self.tokens) - _TOKENS)
        return {
            "tokens": self.tokens[skipped:],
            "apart": [max(0, place - skipped) for place in self.apart],
            "skipped": skipped,
            "pairs": self.pairs,
            "heads": {
                str(head): {
                    "share": self.shares[head.layer][head.head],
                    "weights": [round(1000 * float(w)) for w in self.weights[head.layer, head.head, skipped:]],
                }
                for head in dict.fromkeys(heads)
            },
        }


def read_looks(workspace: Workspace) -> Looked | None:
    """What a run kept; None for a run that kept nothing, as those of a model without attention weights.

    Raises:
        ArtifactError: it was changed.
    """
    space = workspace.sub("locate")
    if not space.has(_ARTIFACT):
        return None
    tensors, metadata = space.read_tensors(_ARTIFACT)
    shares = [[None if math.isnan(share) else share for share in row] for row in tensors["shares"].tolist()]
    begin, end = json.loads(metadata["apart"])
    return Looked(shares, tensors["weights"], json.loads(metadata["tokens"]), (begin, end), int(metadata["pairs"]))
