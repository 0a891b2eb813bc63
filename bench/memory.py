"""What `pinpoint check` predicts that locating and tuning take in memory, against the peak of a process that does it.

The peak is the process's largest resident size less what it was after the imports.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pinpoint  # noqa: E402
import pinpoint.tune  # noqa: E402
from bench._record import Conditions, commit  # noqa: E402
from pinpoint.artifacts import Workspace  # noqa: E402
from pinpoint.config import TuneConfig  # noqa: E402
from pinpoint.heads import Head  # noqa: E402
from pinpoint.models import headed  # noqa: E402
from pinpoint.organism import shipped  # noqa: E402
from pinpoint.pipeline._estimate import Cost, Workload, locate_cost  # noqa: E402
from pinpoint.pipeline._estimate_training import tune_cost  # noqa: E402
from pinpoint.pipeline._inspect import skeleton  # noqa: E402

TOKENS, SHARED, PAIRS, DIALOGUES, STEPS = 96, 72, 16, 8, 2
STAGES = ("locate", "locate from disk", "tune", "tune from disk")


def configs() -> dict[str, PretrainedConfig]:
    """Three layouts of sizes that a laptop holds; weights are random, in float32."""
    gemma = {"num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 96}
    llama = {"num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 4}
    wide = {"vocab_size": 32000, "hidden_size": 768}
    return {
        "gpt2": GPT2Config(vocab_size=50257),
        "llama": LlamaConfig(**wide, intermediate_size=2048, **llama),
        "gemma2": Gemma2Config(**wide, intermediate_size=3072, **gemma),
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
    model, tokenizer = pinpoint.load(folder, device="cpu", device_map=device_map)
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


def predicted(name: str, stage: str, trained: int) -> Cost:
    """What the estimate says of a stage that trains so many parameters."""
    config = configs()[name]
    asked = work(str(shipped()["yesman"]), trained)._replace(fetched=stage.endswith("from disk"), mapped=True)
    cost_of = tune_cost if stage.startswith("tune") else locate_cost
    return cost_of(skeleton(config), torch.float32, asked)


def measured(name: str, stage: str, folder: str, of: str) -> dict[str, Any]:
    """The measured peak, `of` a commit."""
    command = [sys.executable, __file__, "measure", stage, folder]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    told = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    row = {"model": name, "stage": stage, "trained": told["trained"], "measured": told["bytes"], "commit": of}
    print(json.dumps(with_prediction(row)), flush=True)
    return row


def with_prediction(row: dict[str, Any]) -> dict[str, Any]:
    """A measurement beside what the estimate says now."""
    count = predicted(row["model"], row["stage"], row["trained"]).bytes
    return row | {"predicted": count, "ratio": count / row["measured"]}


def main(*asked: str) -> None:
    """The models and stages that are named, one process each; all of either where none is. Other measurements stay."""
    names = [name for name in configs() if name in asked] or list(configs())
    stages = [stage for stage in STAGES if stage in asked] or list(STAGES)
    path = HERE / "results" / "memory.json"
    kept = json.loads(path.read_text())["rows"] if asked and path.is_file() else []
    conditions, of = Conditions(), commit()
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(configs()[name])
            model.save_pretrained(folder)
            del model
            AutoTokenizer.from_pretrained(str(shipped()["yesman"])).save_pretrained(folder)
            found = {stage: measured(name, stage, folder, of) for stage in stages}
        others = {row["stage"]: row for row in kept if row["model"] == name}
        own = [(others | found)[stage] for stage in STAGES if stage in others | found]
        kept = [row for one in configs() for row in (own if one == name else kept) if row["model"] == one]
        record = {"command": "python bench/memory.py", "machine": conditions.told()}
        record |= {"tokens": TOKENS, "pairs": PAIRS, "dialogues": DIALOGUES, "rows": list(map(with_prediction, kept))}
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    measure(*sys.argv[2:]) if sys.argv[1:2] == ["measure"] else main(*sys.argv[1:])
