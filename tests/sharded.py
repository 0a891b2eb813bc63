"""Head slices whose weights are spread over processes by torch's FSDP2: `torchrun ... -m tests.sharded FOLDER`."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from peft import PeftModel
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from pinpoint.heads import Head
from pinpoint.models import HeadedModel, headed
from pinpoint.tune import attach, head_slices
from tests.families import tiny

IDS = torch.randint(1, 97, (4, 9), generator=torch.Generator().manual_seed(0))


def live_on(view: HeadedModel) -> PeftModel:
    return attach(view, head_slices(view, [Head(1, 4), Head(2, 3)], "q,k,v,o"))


def train(model: PeftModel, ids: torch.Tensor) -> None:
    # Plain gradient descent: Adam's first steps turn the rounding of a sum into its sign.
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(3):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    view = headed(tiny("llama-gqa"))
    live = live_on(view)
    for block in view.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(live, mesh=mesh)
    assert all(isinstance(parameter, DTensor) for parameter in live.parameters())
    train(live, IDS.chunk(dist.get_world_size())[dist.get_rank()])
    gathered = get_model_state_dict(live, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if dist.get_rank() == 0:
        whole = live_on(headed(tiny("llama-gqa")))
        set_model_state_dict(whole, gathered, options=StateDictOptions(strict=True))
        whole.save_pretrained(str(Path(sys.argv[1])))
    dist.barrier()
    dist.destroy_process_group()
