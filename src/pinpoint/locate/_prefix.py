"""Running both prompts of every pair: their common beginning once, or one side after the other."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from pinpoint.data import Batch, pad
from pinpoint.measure import Forced, Sites, sites
from pinpoint.models import HeadedModel


class Prompts(NamedTuple):
    """Both prompts of every pair, ready to run; only what runs here passes the hooks.

    Attributes:
        run: runs the backbone; all references, then all counterfactuals in the same order unless they run before.
        sites: the measured positions, counted in what `run` runs.
        before: the counterfactuals in a pass of their own; None if they are in `run`.
    """

    run: Callable[[], object]
    sites: Sites
    before: "Prompts | None" = None


def whole(view: HeadedModel, batch: Batch, runs: Sequence[Forced], *, apart: bool) -> Prompts:
    """Runs the prompts as they are: in one pass, or the counterfactuals apart, which holds half as much at once."""
    count = len(runs)
    sides = [slice(count), slice(count, None)] if apart else [slice(None)]
    references, *others = [
        Prompts(partial(view.backbone, **some.inputs(), use_cache=False), sites(some.last, runs))
        for some in (Batch(*(part[side] for part in batch)) for side in sides)
    ]
    return references._replace(before=others[0]) if apart else references


def sharing(view: HeadedModel, runs: Sequence[Forced], pad_id: int = 0) -> Prompts:
    """Runs the common beginnings at once, and has `run` run what comes after them.

    Beginnings are padded on the left and what follows on the right, so that within a prompt no padding lies
    between tokens: windows and biases that count positions in the batch come out right. A beginning that several
    share is run once.

    Args:
        view: the model.
        runs: the prompts, all of which share at least one token with their counterparts.
        pad_id: the token to pad with.
    """
    beginnings = [tuple(run.reference[: run.shared]) for run in runs]
    own = {beginning: i for i, beginning in enumerate(dict.fromkeys(beginnings))}
    begin = pad(list(own), "left", view.device, pad_id)
    cache = view.backbone(**begin.inputs(), use_cache=True).past_key_values
    # References, then counterfactuals. A spread model's cache lies on several devices, which take indices of the CPU.
    taken = torch.tensor([own[beginning] for beginning in beginnings]).repeat(2)
    cache.batch_select_indices(taken)
    both = [(run.reference, run.shared) for run in runs] + [(run.counterfactual, run.shared) for run in runs]
    rest = pad([prompt[n:] for prompt, n in both], "right", view.device, pad_id)
    inputs = rest.inputs() | {
        "attention_mask": torch.cat((begin.attention_mask[taken], rest.attention_mask), dim=1),
        "position_ids": rest.position_ids + torch.tensor([n for _, n in both], device=view.device)[:, None],
    }
    return Prompts(lambda: view.backbone(**inputs, past_key_values=cache, use_cache=True), sites(rest.last, runs))
