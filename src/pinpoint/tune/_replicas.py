"""Processes that train together end with one model."""

import hashlib

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from pinpoint.errors import CheckFailed
from pinpoint.processes import Processes


def check_alike(model: PreTrainedModel | PeftModel, processes: Processes) -> None:
    """All processes hold the same trained weights, to the last bit: the first one's are what is saved.

    Raises:
        CheckFailed: they do not.
    """
    if processes.count == 1:
        return
    digest = hashlib.sha256()
    for parameter in model.parameters():
        if parameter.requires_grad:
            digest.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    ours = torch.tensor(list(digest.digest()), dtype=torch.uint8)
    for owner in range(processes.count):
        if not torch.equal(processes.from_process(owner, ours.clone()), ours):
            raise CheckFailed(
                f"the trained weights of process {owner} are not those of process {processes.rank}.",
                where="tune",
                mend="Start it again on machines with equal cards and libraries, or with one process.",
            )
