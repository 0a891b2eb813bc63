"""What `pinpoint check` estimates that locating and tuning take in time, against how long they take.

One thread, by the processor's clock, the rate of a matrix product too; loading, checks and merging are in neither.
Writes bench/results/times.json.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pinpoint  # noqa: E402
from bench._record import Conditions, clock, commit, seconds  # noqa: E402
from bench.memory import DIALOGUES, PAIRS, STEPS, configs, pairs, rows, tuned_heads, work  # noqa: E402
from pinpoint.config import TuneConfig  # noqa: E402
from pinpoint.models import headed  # noqa: E402
from pinpoint.organism import shipped  # noqa: E402
from pinpoint.pipeline._devices import devices, flop_rate  # noqa: E402
from pinpoint.pipeline._estimate import locate_cost  # noqa: E402
from pinpoint.pipeline._estimate_training import tune_cost  # noqa: E402
from pinpoint.progress import Silent  # noqa: E402
from pinpoint.tune import attach, fit, head_slices  # noqa: E402

MODELS = ("gpt2", "llama", "gemma2")


def beside(name: str) -> list[dict[str, Any]]:
    """Both stages of one model: seconds, estimated seconds, and the former over the latter."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configs()[name]).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(shipped()["yesman"]))
    some, view = pairs(model.config.vocab_size), headed(model)
    asked = work(str(shipped()["yesman"]), 0)
    costs = {"locate": locate_cost(view, torch.float32, asked), "tune": tune_cost(view, torch.float32, asked)}

    def located() -> None:
        pinpoint.locate(model, None, some, batch_size=PAIRS)

    def tuned() -> None:
        live = attach(view, head_slices(view, tuned_heads(view.n_layers), "q,o"))
        config = TuneConfig(batch_size=DIALOGUES, epochs=1, check_every=STEPS)
        with tempfile.TemporaryDirectory() as out:
            told: dict[str, Any] = {"seed": 0, "out": Path(out), "progress": Silent(), "what": "", "targets": {}}
            fit(live, tokenizer, rows(), config, lambda _: {}, **told)

    works: dict[str, Callable[[], None]] = {"locate": located, "tune": tuned}
    found = []
    for stage, run in works.items():
        rate = flop_rate(devices("cpu")[-1], torch.float32, clock())
        took, estimated = seconds(run), costs[stage].flops / rate
        ratio = took / estimated
        sys.stdout.write(f"{name:8} {stage:7} {took:.1f} s, estimated {estimated:.1f}, ratio {ratio:.2f}\n")
        row = {"model": name, "stage": stage, "flops": costs[stage].flops, "rate": rate}
        found.append(row | {"seconds": took, "estimated": estimated, "ratio": ratio})
    return found


def main() -> None:
    """Times all and writes the record."""
    torch.set_num_threads(1)
    conditions = Conditions()
    found = [row for name in MODELS for row in beside(name)]
    record = {"command": "python bench/times.py", "machine": conditions.told(), "commit": commit(), "rows": found}
    (HERE / "results" / "times.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
