"""Two baselines of the locators: how well a linear probe reads the contrast off a head, and chance."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import EncodedPair, pad
from pinpoint.errors import InputError
from pinpoint.interventions import seen_inputs
from pinpoint.models import HeadedModel

_FOLDS = 5
_RIDGE = 1.0


def head_outputs(view: HeadedModel, pairs: Sequence[EncodedPair]) -> dict[int, Tensor]:
    """Per layer [2 pair head d_head], float32 on the CPU: z at the last token of references and counterfactuals."""
    rows = [pair.reference for pair in pairs] + [pair.counterfactual for pair in pairs]
    batch = pad(rows, "right", view.device)
    place = torch.arange(len(rows), device=batch.last.device)
    found: dict[int, Tensor] = {}

    def see(layer: int, z: Tensor) -> None:
        last = z[place.to(z.device), batch.last.to(z.device)].float().cpu()
        found[layer] = last.view(2, len(pairs), view.n_heads, view.head_dim)

    with seen_inputs(view.out_projs(), see):
        view.backbone(**batch.inputs(), use_cache=False)
    return found


def folds_of(groups: Sequence[str], seed: int) -> list[int]:
    """A fold for each pair; pairs of one group, which share their question, lie in one fold.

    Raises:
        InputError: there is one group only.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise InputError(
            "a probe is tested on groups that it was not trained on, and all pairs are of one group.",
            mend="Give pairs of at least two groups.",
        )
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    fold = {names[name]: place % _FOLDS for place, name in enumerate(order)}
    return [fold[group] for group in groups]


def probed(outputs: Float[Tensor, "2 pair head d_head"], folds: Sequence[int]) -> Float[Tensor, "pair head"]:
    """The share of each pair's two prompts that a ridge probe of the other folds tells right: 0, 0.5 or 1."""
    right = torch.zeros(outputs.shape[1:3])
    of = torch.tensor(folds)
    for fold in sorted(set(folds)):
        train, test = outputs[:, of != fold], outputs[:, of == fold]
        x = train.flatten(0, 1).transpose(0, 1)  # [head 2*pair d_head]
        label = torch.tensor([1.0, -1.0]).repeat_interleave(train.shape[1])
        centre, spread = x.mean(dim=1, keepdim=True), x.std(dim=1, keepdim=True) + 1e-6
        x = (x - centre) / spread
        gram = x.transpose(1, 2) @ x + _RIDGE * torch.eye(x.shape[-1])
        weights = torch.linalg.solve(gram, (x.transpose(1, 2) @ label)[..., None])  # [head d_head 1]
        said = ((test.flatten(0, 1).transpose(0, 1) - centre) / spread @ weights)[..., 0]  # [head 2*pair]
        reference, counterfactual = said.unflatten(1, (2, -1)).unbind(dim=1)
        right[of == fold] = ((reference > 0).float() + (counterfactual < 0).float()).T / 2
    return right
