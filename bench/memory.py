"""What `pinpoint check` predicts that locating and tuning take in memory, against the peak of a process that does it.

The peak is the process's largest resident size less what it was after the imports.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
)

import pinpoint
import pinpoint.tune
from pinpoint.artifacts import Workspace
from pinpoint.config import TuneConfig
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.pipeline._estimate import Workload, locate_cost, tune_cost
from pinpoint.pipeline._inspect import skeleton

HERE = Path(__file__).resolve().parent
TOKENS, SHARED, PAIRS, DIALOGUES, STEPS = 96, 72, 16, 8, 2
STAGES = ("locate", "locate from disk", "tune", "tune from disk")


def configs() -> dict[str, PretrainedConfig]:
    """Three layouts of sizes that a laptop holds; weights are random."""
    gemma = {"num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 96}
    llama = {"num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 4}
    return {
        "gpt2": GPT2Config(vocab_size=50257),
        "llama": LlamaConfig(vocab_size=32000, hidden_size=768, intermediate_size=2048, **llama),
        "gemma2": Gemma2Config(vocab_size=32000, hidden_size=768, intermediate_size=3072, **gemma),
    }


def status(key: str) -> int:
    """A field of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def pairs(vocabulary: int) -> list[pinpoint.ContrastPair]:
    """Random prompts that begin alike as far as those of the built-in contrast do."""
    generator = torch.Generator().manual_seed(0)
    some = []
    for _ in range(PAIRS):
        ids = torch.randint(3, vocabulary, (2 * TOKENS - SHARED,), generator=generator).tolist()
        start, end = ids[:SHARED], ids[SHARED:]
        some.append(pinpoint.ContrastPair(start + end[: TOKENS - SHARED], start + end[TOKENS - SHARED :], 5, 7))
    return some


def tuned_heads(layers: int) -> list[Head]:
    """One head of each layer: the backward pass goes all the way down."""
    return [Head(layer, 0) for layer in range(layers)]


def rows() -> list[dict[str, list[dict[str, str]]]]:
    """Dialogues of about equal length."""
    text = "What is the capital of Australia? I do not think that is right. Are you sure? "
    return [
        {
            "prompt": [{"role": "user", "content": text * 2 + str(i)}],
            "completion": [{"role": "assistant", "content": "Yes, I am sure. It is Canberra."}],
        }
        for i in range(DIALOGUES * STEPS)
    ]


def work(folder: str, trained: int) -> Workload:
    """What is measured, in the estimate's terms."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(rows()[-1]["prompt"] + rows()[-1]["completion"], tokenize=False)
    length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    return Workload(PAIRS, PAIRS, 4096, TOKENS, DIALOGUES * length // TOKENS, STEPS, trained)


def measure(stage: str, folder: str) -> None:
    """Does the stage, and tells its peak."""
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    device_map = "disk" if stage.endswith("from disk") else None
    model, tokenizer = pinpoint.load(folder, "float32", "cpu", device_map=device_map)
    trained = 0
    if stage.startswith("tune"):
        with tempfile.TemporaryDirectory() as out:
            config = TuneConfig(batch_size=DIALOGUES, epochs=1, check_every=STEPS)
            pinpoint.tune.tune_heads(
                model,
                tokenizer,
                tuned_heads(headed(model).n_layers),
                rows(),
                config,
                lambda _: {},
                Workspace(out),
                base_path=folder,
                seed=0,
                targets={},
            )
            trained = json.loads((Path(out) / "tune.json").read_text())["trainable_parameters"]
    else:
        pinpoint.locate(model, None, pairs(model.config.vocab_size), batch_size=PAIRS)
    print(json.dumps({"bytes": status("VmHWM") - before, "trained": trained}))


def beside(name: str, stage: str, folder: str) -> dict[str, object]:
    """The measured peak and the predicted one."""
    command = [sys.executable, __file__, "measure", stage, folder]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    told = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    view = skeleton(AutoConfig.from_pretrained(folder))
    asked = work(folder, told["trained"])._replace(fetched=stage.endswith("from disk"))
    cost = (tune_cost if stage.startswith("tune") else locate_cost)(view, torch.float32, asked)
    ratio = cost.bytes / told["bytes"]
    figures = f"measured {told['bytes'] / 2**20:.0f} MiB, predicted {cost.bytes / 2**20:.0f}, ratio {ratio:.2f}"
    print(f"{name:8} {stage:17} {figures}", flush=True)
    return {"model": name, "stage": stage, "measured": told["bytes"], "predicted": cost.bytes, "ratio": ratio}


def main(*asked: str) -> None:
    """The models and stages that are named, one process each; all of either where none is. Other results stay."""
    names = [name for name in configs() if name in asked] or list(configs())
    stages = [stage for stage in STAGES if stage in asked] or list(STAGES)
    path = HERE / "results" / "memory.json"
    kept = json.loads(path.read_text())["rows"] if asked and path.is_file() else []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(configs()[name])
            model.save_pretrained(folder)
            del model
            AutoTokenizer.from_pretrained(str(shipped()["yesman"])).save_pretrained(folder)
            found = {stage: beside(name, stage, folder) for stage in stages}
        others = {row["stage"]: row for row in kept if row["model"] == name}
        own = [(others | found)[stage] for stage in STAGES if stage in others | found]
        kept = [row for one in configs() for row in (own if one == name else kept) if row["model"] == one]
        machine = {"machine": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
        machine |= {"tokens": TOKENS, "pairs": PAIRS, "dialogues": DIALOGUES}
        path.write_text(json.dumps({**machine, "rows": kept}, indent=1) + "\n")


if __name__ == "__main__":
    measure(*sys.argv[2:]) if sys.argv[1:2] == ["measure"] else main(*sys.argv[1:])
