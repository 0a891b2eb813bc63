"""Run as a process of its own: makes a model, or locates on it and tells the memory that took."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

import pinpoint
import pinpoint.locate._locate  # what the package imports when it first locates is no memory of the model's
from pinpoint.organism import shipped
from tests.locate.test_engines import pairs

WIDTH, INNER, LAYERS = 1024, 4096, 9
BYTES = LAYERS * (4 * WIDTH * WIDTH + 3 * WIDTH * INNER) * 4


def make(folder: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(shipped()["yesman"]))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=16,
        num_key_value_heads=16,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder, max_shard_size="100MB")
    tokenizer.save_pretrained(folder)


def peak() -> int:
    return 1024 * next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )


def locate(folder: str, device_map: str, out: str) -> None:
    before = peak()
    model, _ = pinpoint.load(folder, "float32", "cpu", device_map=device_map or None)
    scores = pinpoint.locate(model, None, pairs(0, count=4), batch_size=4)
    save_file({"effects": scores.effects, "reference": scores.reference}, out)
    sys.stdout.write(json.dumps({"peak": peak() - before}))


if __name__ == "__main__":
    dict(make=make, locate=locate)[sys.argv[1]](*sys.argv[2:])
