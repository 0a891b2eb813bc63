"""Running both prompts of every pair with their common beginning computed once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from pinpoint.data import Batch, pad
from pinpoint.measure import Forced, Sites, sites
from pinpoint.models import HeadedModel


class Prompts(NamedTuple):
    """Both prompts of every pair, ready to run; only what runs here passes the hooks.

    Attributes:
        run: runs the backbone; all references first, then all counterfactuals in the same order.
        sites: the measured positions, counted in what `run` runs.
    """

    run: Callable[[], object]
    sites: Sites


def whole(view: HeadedModel, batch: Batch, runs: Sequence[Forced]) -> Prompts:
    """Runs the prompts as they are."""
    return Prompts(lambda: view.backbone(**batch.inputs(), use_cache=False), sites(batch.last, runs))


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
