"""Whether the rows of a sweep go to the experts that the model's own pass goes to, and how near those choices are."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pinpoint.measure import Sites, site_counts
from pinpoint.models import Choices, HeadedModel

Key = tuple[int, str]


class Routes:
    """Holds the experts of each chunk's reference row to those of the full pass at the measured position.

    A router chooses the largest of its logits, or of what a bias makes of them. Where two are closer than a step of the
    dtype, rounding chooses: the same token in a batch of another shape can go elsewhere, and its score with it.
    """

    def __init__(self, view: HeadedModel, sites: Sites, count: int) -> None:
        self._sites = sites
        self._count = count  # of the references' sites, which come first
        self._step = torch.finfo(view.model.dtype).eps
        self._full: dict[Key, Tensor] = {}  # [site expert]
        # By site, where the model computed them: nothing is read back while rows are in flight.
        self._ties: list[Tensor] = []
        self._others: list[Tensor] = []

    def see(self, key: Key, found: Choices) -> None:
        """Takes what a router chooses: first in the model's own pass, then for rows, the reference's the first."""
        if key not in self._full:
            self._full[key] = self._sites.at(found.chosen)[: self._count]
            self._ties.append(self._sites.at((found.margin <= self._step)[:, None])[: self._count, 0])
            return
        rows = found.chosen.view(self._count, -1, found.chosen.shape[-1])
        self._others.append((rows[:, 0] != self._full[key]).any(dim=1))

    def by_pair(self, pairs: Sequence[Any]) -> Tensor:
        """Choices looked at, those that came out otherwise, and near ties, [pair 3]."""
        counts = torch.zeros(self._count, 3, dtype=torch.long)
        counts[:, 0] = len(self._others)
        for column, counted in ((1, self._others), (2, self._ties)):
            for one in counted:
                counts[:, column] += one.cpu()
        return torch.stack([own.sum(dim=0) for own in counts.split(site_counts(pairs))])
